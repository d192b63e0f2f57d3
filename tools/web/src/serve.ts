/** Serves files with cross-origin isolation, which browsers require for shared memory between threads. */

/** https://web.dev/articles/coop-coep */
export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const

const headers = { ...isolation, "Cache-Control": "no-cache" }

export interface Served {
  /** The page's URL, with a trailing slash. */
  readonly address: string
  readonly stop: () => Promise<void>
}

/**
 * Serves files by name on localhost; `index.html` is the root.
 *
 * @param port default 0, which chooses a free port
 */
export const serve = (files: ReadonlyMap<string, Blob>, port = 0): Served => {
  const server = Bun.serve({
    hostname: "localhost",
    port,
    // Errors must not show a page with source code; and Bun would otherwise share ports between processes.
    development: false,
    reusePort: false,
    fetch: (request) => {
      const refuse = (status: number, reason: string, more = {}) =>
        new Response(`${reason}\n`, { status, headers: { ...headers, ...more } })
      // Bun builds the URL from the Host header; a malformed header has none.
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
