/**
 * `train-raw LIBRARY OFFSET`: trains with all buffers moved by OFFSET bytes and prints a digest of them. Then closes the scope within a write
 * and uses arrays whose memory has been freed. Runs in every runtime.
 */
import { createHash } from "node:crypto"
import process from "node:process"
import { fromEngine } from "@spikeroute/backend-kernels"
import { conv2d, defaultLoss, flatten, Graph, Key, lif, linear, Optimizer, Policy, Program } from "@spikeroute/core"
import { Effect, Exit, Scope } from "effect"
import { engineOf } from "../src/engine.ts"
import { load } from "../src/library.ts"
import { moveBuffers } from "./moved.ts"

const graph = Graph.makeUnsafe(
  [9, 9, 2],
  Graph.sequential(conv2d({ channels: 5, kernelSize: 3 }), lif(), flatten(), linear({ features: 3 })),
)
const program = Effect.runSync(
  Program.compile(graph, Policy.sltt, {
    batchSize: 4,
    timeSteps: 3,
    loss: defaultLoss,
    optimizer: Optimizer.sgd(),
  }),
)

const moved = moveBuffers(program, Number(process.argv[3]))
const backend = fromEngine(engineOf(await load(process.argv[2] as string), 2, 64))

const digest = Effect.gen(function* () {
  const executable = yield* backend.prepare(moved)
  const hash = createHash("sha256")
  for (const { name, kind } of program.buffers)
    if (kind === "parameter" || kind === "input")
      yield* executable.write(name, (out) => Key.uniform(Key.fold(Key.make(0), name), out))
  yield* executable.run(Program.schedule(program, [0, 1, 2]))
  for (const { name, kind } of program.buffers)
    if (kind === "parameter" || kind === "gradient" || kind === "metric") hash.update(yield* executable.read(name))
  return hash.digest("hex")
})

/** Uses arrays of a program's memory after it has been freed. */
const afterwards = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const executable = yield* backend.prepare(moved).pipe(Scope.provide(scope))
  const arrays: Array<Float32Array> = []
  yield* executable.write("input", (out) => void arrays.push(out.fill(1)))
  const refused = yield* Effect.flip(
    executable.write("input", (out) => {
      Effect.runSync(Scope.close(scope, Exit.void))
      arrays.push(out.fill(1))
    }),
  )
  for (const array of arrays) for (let i = 0; i < array.length; i++) array[i] = (array[i] as number) + 1
  return `${refused._tag} ${arrays.length} ${arrays.every((array) => [0, 162 * 4].includes(array.length))}`
})

console.log(await Effect.runPromise(Effect.scoped(digest)))
console.log(await Effect.runPromise(afterwards))
