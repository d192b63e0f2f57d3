/** Serves files as a page that is isolated from others, as browsers ask before they share memory between threads. */

/** https://web.dev/articles/coop-coep */
export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const

const headers = { ...isolation, "Cache-Control": "no-cache" }

export interface Served {
  /** Where the page is, with a slash at the end. */
  readonly address: string
  readonly stop: () => Promise<void>
}

/**
 * Serves files by name, `index.html` at the root, on this machine alone.
 *
 * @param port 0, the default, takes one that is free
 */
export const serve = (files: ReadonlyMap<string, Blob>, port = 0): Served => {
  const server = Bun.serve({
    hostname: "localhost",
    port,
    // An error is not shown as a page with the source. Bun then shares ports between processes unless it is told not to.
    development: false,
    reusePort: false,
    fetch: (request) => {
      const refuse = (status: number, reason: string, more = {}) =>
        new Response(`${reason}\n`, { status, headers: { ...headers, ...more } })
      // Bun makes the URL of the Host header; where that is malformed there is none.
      const url = URL.parse(request.url)
      if (url === null) return refuse(400, "the path or the Host header is malformed")
      if (request.method !== "GET" && request.method !== "HEAD")
        return refuse(405, "files are only read", { Allow: "GET, HEAD" })
      const file = files.get(url.pathname === "/" ? "index.html" : url.pathname.slice(1))
      return file === undefined ? refuse(404, "there is no such file") : new Response(file, { headers })
    },
  })
  return { address: server.url.href, stop: () => server.stop(true) }
}
