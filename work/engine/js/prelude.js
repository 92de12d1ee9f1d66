// The globals that are easier said in JavaScript. Run once in every runtime, before the script.
(function (native) {
  const define = (target, name, value) =>
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
  const global = globalThis;

  // What esbuild's lowered code falls back to, so that both sides mean the same symbol.
  for (const name of ["asyncIterator", "dispose", "asyncDispose"]) {
    if (!Symbol[name]) Object.defineProperty(Symbol, name, { value: Symbol.for("Symbol." + name) });
  }
  delete global.GoError;

  const timers = {
    setTimeout(callback, delay, ...args) { return native.timer(callback, delay, false, args); },
    setInterval(callback, delay, ...args) { return native.timer(callback, delay, true, args); },
    clearTimeout(id) { native.clear(id); },
    clearInterval(id) { native.clear(id); },
  };
  for (const name in timers) define(global, name, timers[name]);

  const resolved = Promise.resolve();
  const then = Promise.prototype.then;
  define(global, "queueMicrotask", function queueMicrotask(callback) {
    if (typeof callback !== "function") throw new TypeError("queueMicrotask needs a function");
    Reflect.apply(then, resolved, [() => { callback(); }]);
  });

  const console = {};
  const levels = { log: "info", info: "info", debug: "debug", warn: "warn", error: "error", trace: "debug", dir: "info", group: "info" };
  for (const name in levels) console[name] = (...args) => { native.log(levels[name], args); };
  console.groupEnd = () => {};
  console.assert = (ok, ...args) => { if (!ok) native.log("error", ["Assertion failed", ...args]); };
  define(global, "console", console);

  define(global, "performance", { now: native.now });

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return new Uint8Array(native.encode(String(text))); }
  }
  class TextDecoder {
    #fatal; #ignoreBOM;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) throw new RangeError("only utf-8 is supported, not " + label);
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() { return "utf-8"; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(data, { stream = false } = {}) {
      if (stream) throw new TypeError("decoding in pieces is not supported");
      if (data === undefined) return "";
      return native.decode(bytes(data), this.#fatal, this.#ignoreBOM);
    }
  }
  define(global, "TextEncoder", TextEncoder);
  define(global, "TextDecoder", TextDecoder);

  function bytes(data) {
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError("not an ArrayBuffer or a view of one");
  }

  define(global, "crypto", {
    getRandomValues(array) {
      const view = bytes(array);
      if (view.length > 65536) throw new RangeError("more than 65536 random bytes asked for");
      view.set(new Uint8Array(native.random(view.length)));
      return array;
    },
    randomUUID: native.uuid,
  });
  define(global, "atob", function atob(text) { return native.atob(String(text)); });
  define(global, "btoa", function btoa(text) { return native.btoa(String(text)); });

  define(global, "structuredClone", function structuredClone(value) {
    const seen = new Map();
    const refuse = (what) => { throw new TypeError("cannot clone " + what); };
    const clone = (v) => {
      if (typeof v === "function") refuse("a function");
      if (typeof v === "symbol") refuse("a symbol");
      if (typeof v !== "object" || v === null) return v;
      if (seen.has(v)) return seen.get(v);
      const keep = (copy) => { seen.set(v, copy); return copy; };
      const tag = Object.prototype.toString.call(v).slice(8, -1);
      switch (tag) {
        case "Number": case "String": case "Boolean": case "BigInt": return keep(Object(v.valueOf()));
        case "Date": return keep(new Date(v.getTime()));
        case "RegExp": return keep(new RegExp(v.source, v.flags));
        case "ArrayBuffer": return keep(v.slice(0));
        case "Promise": case "WeakMap": case "WeakSet": case "Generator": refuse("a " + tag);
      }
      if (v instanceof Map) {
        const copy = keep(new Map());
        for (const [key, item] of v) copy.set(clone(key), clone(item));
        return copy;
      }
      if (v instanceof Set) {
        const copy = keep(new Set());
        for (const item of v) copy.add(clone(item));
        return copy;
      }
      if (ArrayBuffer.isView(v)) {
        const buffer = clone(v.buffer);
        const size = v instanceof DataView ? v.byteLength : v.length;
        return keep(new (global[tag])(buffer, v.byteOffset, size));
      }
      if (v instanceof Error) {
        const type = global[v.name];
        const copy = keep(Object.create((typeof type === "function" ? type : Error).prototype));
        for (const key of ["name", "message", "stack", "cause"]) {
          if (Object.hasOwn(v, key)) define(copy, key, clone(v[key]));
        }
        return copy;
      }
      const copy = keep(Array.isArray(v) ? new Array(v.length) : {});
      for (const key of Object.keys(v)) {
        Object.defineProperty(copy, key, { value: clone(v[key]), writable: true, configurable: true, enumerable: true });
      }
      return copy;
    };
    return clone(value);
  });

  if (!Promise.withResolvers) {
    define(Promise, "withResolvers", function withResolvers() {
      const out = {};
      out.promise = new this((resolve, reject) => { out.resolve = resolve; out.reject = reject; });
      return out;
    });
  }
  if (!Promise.try) {
    define(Promise, "try", function (f, ...args) { return new this((resolve) => resolve(f(...args))); });
  }
  if (!Object.groupBy) {
    define(Object, "groupBy", function groupBy(items, keyOf) {
      const groups = Object.create(null);
      let i = 0;
      for (const item of items) {
        const key = keyOf(item, i++);
        (groups[key] ??= []).push(item);
      }
      return groups;
    });
  }
  if (!Map.groupBy) {
    define(Map, "groupBy", function groupBy(items, keyOf) {
      const groups = new Map();
      let i = 0;
      for (const item of items) {
        const key = keyOf(item, i++);
        if (groups.has(key)) groups.get(key).push(item); else groups.set(key, [item]);
      }
      return groups;
    });
  }

  // A string of 2^45 characters would end the process, not the call. The bound is V8's.
  const longest = 2 ** 29 - 24;
  const repeat = String.prototype.repeat;
  define(String.prototype, "repeat", { repeat(count) {
    if (this != null && String(this).length * count > longest) throw new RangeError("Invalid string length");
    return Reflect.apply(repeat, this, [count]);
  } }.repeat);
  for (const name of ["padStart", "padEnd"]) {
    const pad = String.prototype[name];
    define(String.prototype, name, { [name](length, ...fill) {
      if (length > longest) throw new RangeError("Invalid string length");
      return Reflect.apply(pad, this, [length, ...fill]);
    } }[name]);
  }

  // Only for scripts with \p{…}: replacing RegExp costs the interpreter its shortcuts.
  if (native.properties) {
    const Plain = RegExp;
    const Wrapped = function RegExp(pattern, flags) {
      const unicode = typeof flags === "string" && flags.includes("u");
      if (unicode && typeof pattern === "string") pattern = native.expand(pattern);
      if (!new.target) return pattern instanceof Plain && flags === undefined ? pattern : new Plain(pattern, flags);
      return Reflect.construct(Plain, [pattern, flags], new.target === Wrapped ? Plain : new.target);
    };
    Object.setPrototypeOf(Wrapped, Plain);
    Wrapped.prototype = Plain.prototype;
    define(global, "RegExp", Wrapped);
  }

  return { resolve: Promise.resolve.bind(Promise), mapSet: Map.prototype.set, isArray: Array.isArray };
})
