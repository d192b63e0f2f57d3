/** A function on Node: `node node.js program.safetensors` answers POST requests on PORT, 8080 unless told. */
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { type Answer, open } from "./predict.ts"

const [, , program = "program.safetensors"] = process.argv
const { sampleBytes, predict } = await open(program)

/** The body, as far as a sample goes: what is longer is refused without being kept. */
const bodyOf = async (request: IncomingMessage): Promise<Uint8Array | Answer> => {
  const parts: Array<Uint8Array> = []
  let length = 0
  for await (const part of request as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > sampleBytes) return { status: 413, body: { error: `a sample has ${sampleBytes} bytes` } }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const answerTo = async (request: IncomingMessage): Promise<Answer> => {
  if (request.method !== "POST") return { status: 405, body: { error: "POST a sample" } }
  const body = await bodyOf(request)
  return body instanceof Uint8Array ? predict(body) : body
}

const server = createServer((request, response) => {
  answerTo(request).then(
    ({ status, body }) =>
      response
        .writeHead(status, { "content-type": "application/json", ...(status === 413 && { connection: "close" }) })
        .end(`${JSON.stringify(body)}\n`),
    () => response.destroy(),
  )
})
server.listen(Number(process.env.PORT ?? 8080), () =>
  console.log(`listening on http://localhost:${(server.address() as AddressInfo).port}/`),
)
