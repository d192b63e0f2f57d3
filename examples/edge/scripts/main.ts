/** `bun run edge PROGRAM`: the worker on this machine, with what it learns in runs/edge. */
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { load } from "@spikeroute/backend-wasm/infer"
import { kernels, start } from "./host.ts"

const help = `bun run edge PROGRAM serves a program file; what it learns is kept in runs/edge.

    bun run train --out runs/shapes
    bun run export runs/shapes --format program
    bun run edge runs/shapes/program.safetensors
`

const fail = (reason: string): never => {
  process.stderr.write(`error: ${reason.trim()}\n`)
  process.exit(2)
}

const [file] = process.argv.slice(2)
if (file === undefined || file === "--help" || file === "-h") {
  process.stdout.write(help)
  process.exit(file === undefined ? 2 : 0)
}

const program = await readFile(file).catch((error) => fail(`${file} cannot be read: ${error.code}`))
const model = (() => {
  try {
    return load(new WebAssembly.Module(readFileSync(kernels)), program)
  } catch (error) {
    return fail(`${file}: ${(error as Error).message}`)
  }
})()
if (model.batchSize !== 1) fail(`${file} takes ${model.batchSize} samples at once; export it with --batch-size 1`)
const token = process.env.WRITE_TOKEN ?? crypto.randomUUID()
const host = await start({ program: new Uint8Array(program), storage: "runs/edge", token, port: 8787 }).catch((error) =>
  fail(`the worker cannot start: ${error.message}`),
)
const samples = [...model.shape, model.encoding === "frames" ? model.timeSteps : 1]
const bytes = samples.reduce((product, extent) => product * extent, 4)
const octets = "-H 'content-type: application/octet-stream' --data-binary @sample"
process.stdout.write(`listening on ${host.url}

head -c ${bytes} /dev/zero > sample
curl '${host.url}predict?margin=2' ${octets}
curl '${host.url}learn?label=0' -H 'authorization: Bearer ${token}' ${octets}
`)

const stop = async () => {
  await host.close()
  process.exit(0)
}
process.once("SIGINT", stop)
process.once("SIGTERM", stop)
