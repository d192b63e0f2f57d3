/**
 * Refractory periods for any neuron. For some steps after a spike, the neuron cannot fire and its membrane stays at the value after
 * the reset, whatever the input. Its other states are updated, so currents arrive and adaptation decays in the meantime. That is
 * the absolute refractory period of NEST, Brian (`unless refractory`) and Norse. The membrane is held, not just the input, so that
 * neither the leak nor exponential and quadratic terms move the potential.
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
 * Adds a refractory period of `steps` ≥ 1 time steps to a neuron model. The new state `countdown` is the remaining time, r[t] =
 * max(n·s[t], r[t−1] − 1). The new parameter `refractoryPeriod`, n, may be one number, or one per channel or element. No gradient
 * flows through the countdown.
 *
 * @throws OptionError unless `steps` is a whole number of at least 1
 * @throws GraphError while the graph is built, if the neuron never fires
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
      const [remaining, period] = [before.countdown, p.refractoryPeriod] as [Expression, Expression]
      const isRefractory = remaining.greaterThan(0)
      let fired: Expression | undefined
      const { states, output } = definition.step({
        ...given,
        spike: (z) => {
          fired = select(isRefractory, 0, spike(z))
          return fired
        },
      })
      if (fired === undefined)
        throw new GraphError({ node: kind, reason: "only spiking neurons can have a refractory period" })
      const after: Record<string, Value> = { ...states, countdown: maximum(fired.times(period), remaining.minus(1)) }
      if (after.membrane !== undefined)
        after.membrane = select(isRefractory, before.membrane as Expression, after.membrane)
      return { states: after, output: output === fired ? output : select(isRefractory, 0, output) }
    },
  } as unknown as Definition<P | "refractoryPeriod", S | "countdown", C>)
}
