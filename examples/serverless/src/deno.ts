/** A function on Deno: `deno run --allow-net --allow-read --allow-env src/deno.ts program.safetensors`. */
import { failed, open, portOf } from "./predict.ts"

/** The part of Deno's API that is used here. */
declare const Deno: {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly get: (name: string) => string | undefined }
  readonly exit: (code: number) => never
  readonly serve: (
    options: { readonly port: number; readonly onListen: (address: { readonly port: number }) => void },
    handler: (request: Request) => Promise<Response>,
  ) => void
}

/** Milliseconds within which a body must arrive. */
const patience = 10_000
async function* nothing() {}

const start = async () => {
  const port = portOf(Deno.env.get("PORT"))
  const { answer } = await open(Deno.args[0] ?? "program.safetensors")
  const serve = async ({ method, headers: given, body: stream }: Request): Promise<Response> => {
    const { status, headers, body } = await answer({
      method,
      host: given.get("host") ?? "",
      length: Number(given.get("content-length")),
      body: stream?.pipeThrough(new TransformStream(), { signal: AbortSignal.timeout(patience) }) ?? nothing(),
    }).catch(failed)
    return Response.json(body, { status, ...(headers && { headers }) })
  }
  try {
    Deno.serve({ port, onListen: ({ port }) => console.log(`listening on http://localhost:${port}/`) }, serve)
  } catch (error) {
    throw (error as Error).name === "AddrInUse" ? new Error(`port ${port} is taken: set PORT to another`) : error
  }
}

start().catch((error) => {
  console.error(`error: ${error.message}`)
  Deno.exit(1)
})
