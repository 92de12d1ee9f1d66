package examples_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// tryPage uses the page of crunch as a person does, in a browser.
func tryPage(t *testing.T, addr string) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("BECOME_REQUIRE_PEERS") == "1" {
			t.Error("there is no chromium to try the page in")
		}
		return
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1000, 900))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		text, err := chromedp.Run(ctx, chromedp.Text(selector, chromedp.NodeVisible))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	do(chromedp.Navigate("http://"+addr+"/"),
		chromedp.SendKeys(`#Multiply input[name="x"]`, "1.5"),
		chromedp.SendKeys(`#Multiply input[name="y"]`, "2.25"),
		chromedp.Click(`#Multiply button`))
	good := text(`#Multiply pre.good`)
	do(chromedp.SendKeys(`#Divide input[name="x"]`, "1"), chromedp.SendKeys(`#Divide input[name="y"][required]`, "0"), chromedp.Click(`#Divide button`))
	bad := text(`#Divide pre.bad`)
	if !strings.Contains(good, "3.375") {
		t.Errorf("the page says %q", good)
	}
	if !strings.HasPrefix(bad, "422 Unprocessable Entity\ncannot write answer: value: +Inf is no number") {
		t.Errorf("the page says %q of a division by zero", bad)
	}
	if keep := os.Getenv("BECOME_SCREENSHOT"); keep != "" {
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(keep, picture, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
