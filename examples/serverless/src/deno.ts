/** A function on Deno: `deno run --allow-net --allow-read --allow-env src/deno.ts program.safetensors`. */
import { open } from "./predict.ts"

/** The part of Deno that is used here. */
declare const Deno: {
  readonly args: ReadonlyArray<string>
  readonly env: { readonly get: (name: string) => string | undefined }
  readonly serve: (
    options: { readonly port: number; readonly onListen: (address: { readonly port: number }) => void },
    handler: (request: Request) => Promise<Response>,
  ) => void
}

const { sampleBytes, predict } = await open(Deno.args[0] ?? "program.safetensors")

const serve = async (request: Request): Promise<Response> => {
  if (request.method !== "POST") return Response.json({ error: "POST a sample" }, { status: 405 })
  const length = Number(request.headers.get("content-length") ?? Number.NaN)
  if (!(length <= sampleBytes))
    return Response.json({ error: `a sample has ${sampleBytes} bytes; say so in content-length` }, { status: 413 })
  const { status, body } = predict(new Uint8Array(await request.arrayBuffer()))
  return Response.json(body, { status })
}

Deno.serve(
  {
    port: Number(Deno.env.get("PORT") ?? 8080),
    onListen: ({ port }) => console.log(`listening on http://localhost:${port}/`),
  },
  serve,
)
