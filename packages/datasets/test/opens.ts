/** A process that opens a data set, makes its first training samples and prints its peak memory: NAME DIRECTORY SAMPLES. */
import { existsSync, readFileSync } from "node:fs"
import { Effect } from "effect"
import { open } from "../src/index.ts"
import { run } from "./support.ts"

const [name = "", dataDir = "", samples = "1"] = process.argv.slice(2)
const said = await run(
  open(name, { timeSteps: 1, dataDir }).pipe(
    Effect.flatMap(({ shape, train }) => {
      const indices = Array.from({ length: Number(samples) }, (_, i) => i)
      const out = new Float32Array(indices.length * shape.reduce((a, b) => a * b, 1))
      return Effect.map(train.write(indices, undefined, out), () => `${samples} samples from ${out[0]}`)
    }),
    Effect.catch((error) => Effect.succeed(`${error._tag}: ${error.message}`)),
  ),
)
// The peak memory reported by a system call may be that of the parent process.
const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : ""
const kibi = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS)
process.stdout.write(JSON.stringify({ said, bytes: kibi * 1024 }))
