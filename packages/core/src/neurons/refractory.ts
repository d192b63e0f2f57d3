/**
 * Refractory periods, of any neuron. For some steps after a spike it cannot fire, and its membrane stays where the reset left it, whatever
 * the input; its other states go on, so that currents arrive and adaptation decays meanwhile. That is the absolute refractory period of
 * NEST, Brian (`unless refractory`) and Norse. Holding the membrane rather than the input keeps the leak, and exponential and
 * quadratic terms, from moving the potential.
 */

import { Schema } from "effect"
import { argument, type Kind } from "../arguments.ts"
import { GraphError } from "../errors.ts"
import { type Expression, maximum, select, type Value } from "../expressions/expression.ts"
import { assert, whole } from "../options.ts"
import { type Choices, type Definition, make, type NeuronLayer, type Step } from "./define.ts"

const aNeuron: Kind = [
  "a layer of neurons, as currentBasedLif",
  (value) => (value as NeuronLayer<never, never> | null)?.definition !== undefined,
]

const Steps = /* @__PURE__ */ whole(1, 2 ** 24)

/**
 * A neuron with a refractory period of `steps` time steps, from 1 on. The state `countdown` is what is left of it,
 * r[t] = max(n·s[t], r[t−1] − 1).
 * The new neuron has the parameter `refractoryPeriod`, n, which may be one a channel or an element. No gradient flows through the count.
 *
 * @throws OptionError unless `steps` is a whole number from 1 on
 * @throws GraphError where the neuron never fires, when the graph is built
 *
 * @example
 * const slow = Neuron.refractory(currentBasedLif, 2)
 * const network = Graph.sequential(linear({ features: 100 }), slow({ threshold: 0.5 }), linear({ features: 10 }))
 */
export const refractory = <P extends string, S extends string, C extends keyof Choices = never>(
  neuron: NeuronLayer<P, S, C>,
  steps: number,
): NeuronLayer<P | "refractoryPeriod", S | "countdown", C> => {
  const { kind, definition } = argument(neuron, aNeuron, "Neuron.refractory")
  assert("Neuron.refractory", Schema.Struct({ steps: Steps }), { steps })
  return make<P | "refractoryPeriod", S | "countdown", C>(`${kind}Refractory`, {
    ...definition,
    parameters: { ...definition.parameters, refractoryPeriod: steps },
    ranges: { ...definition.ranges, refractoryPeriod: Steps },
    states: [...definition.states, "countdown"],
    step: (given: Step<P, S, C>) => {
      const { before, p, spike } = given as unknown as Step<string, string>
      const [rest, period] = [before.countdown, p.refractoryPeriod] as [Expression, Expression]
      const resting = rest.greaterThan(0)
      let fired: Expression | undefined
      const { states, output } = definition.step({
        ...given,
        spike: (z) => {
          fired = select(resting, 0, spike(z))
          return fired
        },
      })
      if (fired === undefined) throw new GraphError({ node: kind, reason: "only what fires has a refractory period" })
      const after: Record<string, Value> = { ...states, countdown: maximum(fired.times(period), rest.minus(1)) }
      if (after.membrane !== undefined) after.membrane = select(resting, before.membrane as Expression, after.membrane)
      return { states: after, output: output === fired ? output : select(resting, 0, output) }
    },
  } as unknown as Definition<P | "refractoryPeriod", S | "countdown", C>)
}
