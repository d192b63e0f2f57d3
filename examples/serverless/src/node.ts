/** A function on Node: `node node.js program.safetensors` answers POST requests on `PORT`, by default 8080. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { type Answer, failed, open, portOf } from "./predict.ts"

const fail = (error: Error): never => {
  console.error(`error: ${error.message}`)
  process.exit(1)
}

const start = async () => {
  const port = portOf(process.env.PORT)
  const { answer } = await open(process.argv[2] ?? "program.safetensors")
  // Node itself ends requests whose body does not arrive.
  const server = createServer({ requestTimeout: 10_000, connectionsCheckingInterval: 1000 }, (request, response) => {
    const send = ({ status, headers, body }: Answer) => {
      const text = `${JSON.stringify(body)}\n`
      const described = { "content-type": "application/json", "content-length": Buffer.byteLength(text) }
      response.writeHead(status, { ...described, ...headers }).end(text)
    }
    const { host = "", "content-length": length = 0 } = request.headers
    answer({
      method: request.method ?? "",
      host,
      length: Number(length),
      // If the rest of the body is left unread, a refusal still has to be sent.
      body: request.iterator({ destroyOnReturn: false }),
    })
      .catch(failed)
      .then(send)
  })
  server.on("error", (error: NodeJS.ErrnoException) =>
    fail(error.code === "EADDRINUSE" ? new Error(`port ${port} is taken: set PORT to another`) : error),
  )
  server.listen(port, () => console.log(`listening on http://localhost:${(server.address() as AddressInfo).port}/`))
}

start().catch(fail)
