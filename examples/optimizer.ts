/** A custom optimiser: AdaGrad (Duchi et al. 2011), whose steps shrink where gradients have been large. */
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const adagrad = S.Optimizer.make("adagrad", {
  options: { epsilon: 1e-10 },
  states: ["squares"],
  step: ({ weight, gradient, before, options, rate }) => {
    const squares = before.squares.plus(gradient.times(gradient))
    const step = rate.times(gradient).dividedBy(S.Neuron.sqrt(squares).plus(options.epsilon))
    return { weight: weight.minus(step), states: { squares } }
  },
})

const network = S.Graph.sequential(S.linear({ features: 16 }), S.lif(), S.linear({ features: 2 }))
const program = Effect.gen(function* () {
  const options = { batchSize: 4, timeSteps: 5, loss: S.defaultLoss, optimizer: adagrad(), key: S.Key.make(1) }
  const { step, save } = yield* S.Train.make(yield* S.Graph.make([2], network), S.Policy.sltt, options)
  const exclusiveOr = { inputs: Float32Array.of(0, 0, 0, 2, 2, 0, 2, 2), labels: Float32Array.of(0, 1, 1, 0) }
  for (let update = 1; update <= 100; update++)
    console.log(`loss ${(yield* step(exclusiveOr, { update, learningRate: 0.1 })).loss.toFixed(3)}`)
  console.log(`a checkpoint has ${[...(yield* save).keys()].join(", ")}`)
})
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
