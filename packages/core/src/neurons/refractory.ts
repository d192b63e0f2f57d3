/**
 * Refractory periods, of any neuron. For some steps after a spike it cannot fire, and its membrane stays where the reset left it, whatever
 * the input; its other states go on, so that currents arrive and adaptation decays meanwhile. That is the absolute refractory period of
 * NEST, Brian (`unless refractory`) and Norse. Holding the membrane rather than the input keeps the leak, and exponential and
 * quadratic terms, from moving the potential.
 */
import { GraphError } from "../errors.ts"
import { type Expression, maximum, select, type Value } from "../expressions/expression.ts"
import { whole } from "../options.ts"
import { type Choices, type Definition, make, type NeuronLayer, type Step } from "./define.ts"

/**
 * A neuron with a refractory period of so many time steps, from 1 on. The state `refractory` counts them down: r[t] = max(n·s[t], r[t−1] − 1).
 * The new neuron has the parameter `refractoryPeriod`, n, which may be one a channel or an element. No gradient flows through the count.
 *
 * @example
 * const slow = Neuron.refractory(currentBasedLif, 2)
 * const network = Graph.sequential(linear({ features: 100 }), slow({ threshold: 0.5 }), linear({ features: 10 }))
 */
export const refractory = <P extends string, S extends string, C extends keyof Choices = never>(
  { kind, definition }: NeuronLayer<P, S, C>,
  steps: number,
): NeuronLayer<P | "refractoryPeriod", S | "refractory", C> =>
  make<P | "refractoryPeriod", S | "refractory", C>(`${kind}Refractory`, {
    ...definition,
    parameters: { ...definition.parameters, refractoryPeriod: steps },
    ranges: { ...definition.ranges, refractoryPeriod: whole(1, 2 ** 24) },
    states: [...definition.states, "refractory"],
    step: (given) => {
      const { before, p, spike } = given as Step<string, string>
      const resting = (before.refractory as Expression).greaterThan(0)
      let fired: Expression | undefined
      const { states, output } = definition.step({
        ...given,
        spike: (z) => {
          fired = select(resting, 0, spike(z))
          return fired
        },
      })
      if (fired === undefined) throw new GraphError({ node: kind, reason: "only what fires has a refractory period" })
      const count = maximum(fired.times(p.refractoryPeriod as Expression), (before.refractory as Expression).minus(1))
      const held = {
        membrane: select(resting, before.membrane as Expression, (states as Record<string, Value>).membrane as Value),
      }
      return {
        states: { ...states, ...("membrane" in states ? held : {}), refractory: count } as Record<
          S | "refractory",
          Value
        >,
        output: output === fired ? output : select(resting, 0, output),
      }
    },
  } as Definition<P | "refractoryPeriod", S | "refractory", C>)
