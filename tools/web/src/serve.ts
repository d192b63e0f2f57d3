/** Serves files as a page that is isolated from others, as browsers ask before they share memory between threads. */

/** https://web.dev/articles/coop-coep */
export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const

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
    fetch: (request) => {
      const path = new URL(request.url).pathname.slice(1)
      const file = files.get(path === "" ? "index.html" : path)
      const headers = { ...isolation, "Cache-Control": "no-cache" }
      return file === undefined
        ? new Response(`there is no ${path}`, { status: 404, headers })
        : new Response(file, { headers })
    },
  })
  return { address: server.url.href, stop: () => server.stop(true) }
}
