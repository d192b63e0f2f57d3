/** A custom neuron whose threshold rises with each spike and decays back. It runs on every backend and in program files. */
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const adaptive = S.Neuron.make("adaptive", {
  parameters: { decay: 0.9, recovery: 0.98, strength: 0.3 },
  states: ["membrane", "fatigue"],
  step: ({ x, before, p, spike }) => {
    const u = before.membrane.times(p.decay).plus(x)
    const output = spike(u.minus(before.fatigue.times(p.strength).plus(1)))
    const fatigue = before.fatigue.times(p.recovery).plus(output)
    return { states: { membrane: u.minus(S.Neuron.route("reset", output).times(u)), fatigue }, output }
  },
})

// With a constant input, the neuron fires more and more slowly. Plain parameters are constants; `learn` makes one trainable, here per channel.
const rates = (network: S.Graph.Layer, windows: number) =>
  Effect.gen(function* () {
    const graph = yield* S.Graph.make([1], network)
    const { predict } = yield* S.Train.makePredictor(graph, { batchSize: 1, timeSteps: 10 * windows })
    return (yield* predict(Float32Array.of(0.8))).outputs[0]!
  }).pipe(Effect.scoped, Effect.provide(layer))

const [early, later] = [await Effect.runPromise(rates(adaptive(), 1)), await Effect.runPromise(rates(adaptive(), 2))]
console.log(`${early} spikes in the first ten steps, ${later - early} in the next ten`)
const learning = S.Graph.makeUnsafe([3], adaptive({ decay: S.Neuron.learn(0.9, "channel") }))
console.log(`learnt: ${learning.parameters.map(({ name, shape }) => `${name} [${shape}]`).join(", ")}`)
