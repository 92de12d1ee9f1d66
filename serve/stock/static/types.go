package static

import (
	"mime"
	"path/filepath"
	"strings"
)

// types are the content types that do not depend on the machine's own table.
var types = map[string]string{
	".7z": "application/x-7z-compressed", ".atom": "application/atom+xml", ".avif": "image/avif", ".bmp": "image/bmp",
	".bz2": "application/x-bzip2", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".gif": "image/gif", ".gz": "application/gzip", ".htm": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8",
	".ico": "image/x-icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".md": "text/markdown; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".ogg": "audio/ogg", ".otf": "font/otf", ".pdf": "application/pdf",
	".png": "image/png", ".svg": "image/svg+xml", ".tar": "application/x-tar", ".tgz": "application/gzip",
	".toml": "application/toml", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
	".wav": "audio/wav", ".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2", ".xhtml": "application/xhtml+xml", ".xml": "text/xml; charset=utf-8",
	".xz": "application/x-xz", ".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip", ".zst": "application/zstd",
}

// typeOf returns the content type that a name says, or "".
func typeOf(name string) string {
	ext := strings.ToLower(filepath.Ext(name))
	if t := types[ext]; t != "" {
		return t
	}
	return mime.TypeByExtension(ext)
}
