/** `bun run edge PROGRAM`: runs the worker locally and stores what it learns in runs/edge. */
import { readFileSync } from "node:fs"
import { readFile, stat } from "node:fs/promises"
import { quote } from "@spikeroute/core/text"
import { DeploymentError, modelOf } from "../src/deployment.ts"
import { sampleBytes } from "../src/requests.ts"
import { settingsOf } from "../src/settings.ts"
import { kernels, start } from "./host.ts"

const port = 8787

const help = `bun run edge PROGRAM serves a program file and stores what it learns in runs/edge.

    bun run train --out runs/shapes
    bun run export runs/shapes --format program
    bun run edge runs/shapes/program.safetensors
`

const fail = (reason: string): never => {
  process.stderr.write(`error: ${reason.trim()}\n`)
  process.exit(2)
}

const [file, ...more] = process.argv.slice(2)
if (file === undefined || file === "--help" || file === "-h") {
  process.stdout.write(help)
  process.exit(file === undefined ? 2 : 0)
}
if (more.length > 0) fail(`unexpected argument ${quote(more[0])}: pass one program file`)

/** Makes the checks that the worker makes for each request, so that a wrong setting is reported before it starts. */
const checked = <A>(check: () => A, where = ""): A => {
  try {
    return check()
  } catch (error) {
    if (error instanceof DeploymentError) fail(where + error.message)
    throw error
  }
}

const { WRITE_TOKEN = crypto.randomUUID(), LEARNING_RATE } = process.env
checked(() => settingsOf({ WRITE_TOKEN, ...(LEARNING_RATE !== undefined && { LEARNING_RATE }) }))
// Opening a pipe would wait for a writer.
const program = await stat(file)
  .then((found) => (found.isFile() ? readFile(file) : Promise.reject({ code: "it is not a file" })))
  .catch((error) => fail(`${quote(file)} cannot be read: ${error.code}`))
const model = checked(() => modelOf(new WebAssembly.Module(readFileSync(kernels)), program), `${quote(file)}: `)
// Otherwise workerd prints its own stack trace.
try {
  Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => {} } }).stop(true)
} catch {
  fail(`port ${port} is in use: stop the process that listens there`)
}
const host = await start({
  program: new Uint8Array(program),
  storage: "runs/edge",
  token: WRITE_TOKEN,
  ...(LEARNING_RATE !== undefined && { learningRate: LEARNING_RATE }),
  port,
}).catch((error) => fail(`the worker cannot start: ${quote(error.message)}`))
const octets = "-H 'content-type: application/octet-stream' --data-binary @sample"
process.stdout.write(`listening on ${host.url}

head -c ${sampleBytes(model)} /dev/zero > sample
curl '${host.url}predict?margin=2' ${octets}
curl '${host.url}learn?label=0' -H 'authorization: Bearer ${WRITE_TOKEN}' ${octets}
`)

const stop = async () => {
  await host.close()
  process.exit(0)
}
process.once("SIGINT", stop)
process.once("SIGTERM", stop)
