/**
 * A recurrent network, and a custom policy that cuts a temporal edge by its name: how much does the gradient through the recurrent
 * connections contribute, compared with the gradient through the membranes?
 *
 * The data are sweeps over 16 channels in 24 time steps: rising, falling, or one after the other. No single time step reveals the class.
 */
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const [channels, timeSteps, batchSize, classes] = [16, 24, 48, 3]

/** Frames [T, N, channels] of noisy sweeps, and their classes. */
const sweeps = (seed: number) => {
  const inputs = S.Key.uniform(S.Key.make(seed), new Float32Array(timeSteps * batchSize * channels)).map((u) =>
    u < 0.02 ? 1 : 0,
  )
  const labels = Float32Array.from({ length: batchSize }, (_, n) => n % classes)
  for (let t = 0; t < timeSteps; t++)
    for (let n = 0; n < batchSize; n++) {
      const there = Math.floor((t * channels) / timeSteps)
      const forth = Math.abs(2 * there - channels + 1)
      const channel = [there, channels - 1 - there, Math.min(forth, channels - 1)][n % classes]!
      inputs[(t * batchSize + n) * channels + channel] = 1
    }
  return { inputs, labels }
}

const network = S.Graph.sequential(
  S.recurrent((x, fedBack) => {
    const input = S.linear({ features: 32 })(x, "input")
    const recurrent = S.linear({ features: 32, bias: false })(fedBack, "recurrent")
    return S.adaptiveLif({ decay: 0.8, adaptationDecay: 0.9, strength: 0.2 })(S.add(input, recurrent), "neurons")
  }),
  S.linear({ features: classes }),
  S.leakyReadout({ tau: 10 }),
)

const policies = [S.Policy.bptt, S.Policy.bptt.pipe(S.Policy.detach("recurrent")), S.Policy.sltt]

const program = Effect.gen(function* () {
  const graph = yield* S.Graph.make([channels], network)
  for (const policy of policies) {
    const trainer = yield* S.Train.make(graph, policy, {
      batchSize,
      timeSteps,
      encoding: "frames",
      loss: { mix: 0, target: "ones" },
      optimizer: S.Optimizer.adam(),
      key: S.Key.make(1),
    })
    for (let update = 1; update <= 40; update++) yield* trainer.step(sweeps(update), { update, learningRate: 0.01 })
    const test = sweeps(0)
    const { loss, outputs } = yield* trainer.differentiate(test, { update: 1 })
    const accuracy = S.Train.hits(outputs, test.labels, 1) / batchSize
    const memory = S.Program.formatBytes(trainer.program.arenaBytes)
    console.log(
      `${policy.name.padEnd(24)} ${memory.padStart(9)}  loss ${loss.toFixed(3)}  ${Math.round(100 * accuracy)} %`,
    )
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
