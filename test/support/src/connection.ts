/** Raw HTTP over a socket, for malformed requests and persistent connections. */
import { connect } from "node:net"

/** A persistent connection. */
export interface Connection {
  /** Sends a request and resolves to the status and header text of the response. Rejects if the connection is closed. */
  readonly send: (head: string, body?: Uint8Array) => Promise<{ readonly status: number; readonly headers: string }>
  readonly close: () => void
}

/** Opens a connection. `head` is the request line and the headers except `Content-Length`. */
export const keptConnection = (url: URL): Connection => {
  const socket = connect(Number(url.port), url.hostname)
  let heard: Buffer = Buffer.alloc(0)
  let closed = false
  let wake = () => {}
  socket.on("data", (part: Buffer) => {
    heard = Buffer.concat([heard, part])
    wake()
  })
  for (const event of ["error", "close", "end"])
    socket.on(event, () => {
      closed = true
      wake()
    })
  const answered = () => {
    const end = heard.indexOf("\r\n\r\n")
    if (end < 0) return undefined
    const headers = heard.toString("latin1", 0, end)
    const size = end + 4 + Number(/^content-length: (\d+)$/im.exec(headers)?.[1] ?? 0)
    if (heard.length < size) return undefined
    heard = heard.subarray(size)
    return { status: Number(headers.split(" ")[1]), headers }
  }
  return {
    send: async (head, body) => {
      const length = body === undefined ? "" : `content-length: ${body.length}\r\n`
      socket.write(Buffer.concat([Buffer.from(`${head}\r\n${length}\r\n`, "latin1"), body ?? Buffer.alloc(0)]))
      for (;;) {
        const answer = answered()
        if (answer !== undefined) return answer
        if (closed) throw new Error("the connection is closed")
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    close: () => socket.destroy(),
  }
}
