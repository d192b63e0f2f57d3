/**
 * One of several processes: trains small networks for some updates and prints a digest of all results.
 *
 *     mpirun -n 2 bun rank.ts           train
 *     mpirun -n 2 bun rank.ts kill      rank 1 is killed during the second update
 */
import { createHash } from "node:crypto"
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"
import { Communicator, makeTrainer, mpi } from "../src/index.ts"
import { networks, samplesOf, timeSteps, updates } from "./networks.ts"

const train = (name: keyof typeof networks) =>
  Effect.gen(function* () {
    const { rank, size } = yield* Communicator
    const { graph, policy, batchSize, encoding } = networks[name]
    const trainer = yield* makeTrainer(yield* graph, policy, {
      ...{ batchSize, timeSteps, encoding, microBatches: 4 },
      loss: S.defaultLoss,
      optimizer: S.Optimizer.adam(),
      clipNorm: 0.5,
      key: S.Key.make(1),
    })
    const metrics: Array<number> = []
    for (let update = 1; update <= updates; update++) {
      if (rank === 1 && update === 2 && process.argv[2] === "kill") process.kill(process.pid, "SIGKILL")
      const { loss, firingRates } = yield* trainer.step(samplesOf(name, update, rank, size), {
        update,
        learningRate: 0.01,
      })
      metrics.push(loss, ...firingRates)
    }
    const hash = createHash("sha256").update(Float64Array.from(metrics))
    for (const [tensor, { values }] of yield* trainer.save) hash.update(tensor).update(values as Float32Array)
    return [name, hash.digest("hex").slice(0, 16)] as const
  }).pipe(Effect.scoped, Effect.provide(layer))

/** Digests by network. */
export const trainAll = Effect.map(
  Effect.forEach(Object.keys(networks) as Array<keyof typeof networks>, train),
  (found) => JSON.stringify(Object.fromEntries(found)),
)

if (import.meta.main) {
  const line = await Effect.runPromise(trainAll.pipe(Effect.provide(mpi)))
  process.stdout.write(`${line}\n`)
}
