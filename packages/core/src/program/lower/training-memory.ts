/** The buffers that only training has: gradients, saved states, states of the optimiser. */
import type { Node, Parameter } from "../../graph/graph.ts"
import { lagOf, stateOf } from "../../graph/nodes.ts"
import type { Ref, State } from "../../op.ts"
import type { SegmentName } from "../program.ts"
import type { Lowering } from "./emit.ts"
import { stacked } from "./memory.ts"

interface TrainingMemory {
  readonly hyperparameters: (group: number) => Ref
  /** The optimiser's states of a parameter, as planes. */
  readonly optimizer: (parameter: Parameter) => Ref | undefined
  /** A value that a backward segment recomputes. */
  readonly recomputed: (value: string, segment: SegmentName) => Ref
  /** The gradient of a value within a segment. */
  readonly gradient: (value: string, segment: SegmentName) => Ref
  /** The sum of the gradients that time steps send to a value. */
  readonly gradientSum: (value: string) => Ref
  /** The saved state of a node; the gradients carried back through it, if the policy does not cut all of its edges. */
  readonly checkpoint: (node: Node) => Ref
  readonly carry: (node: Node) => Ref | undefined
  /** The gradients carried back over a lagged edge: the one that left step t + lag is at t. */
  readonly carriedBack: (node: Node) => Ref
  /** The saved value of `lag` steps ago. */
  readonly savedValue: (value: string, lag: number) => Ref
}

export const trainingMemory = ({ analysis, request, memory }: Lowering): TrainingMemory => {
  const { buffer, shapeOf } = memory
  const { typeOf } = analysis
  const { timeSteps, window, checkpointInterval } = request
  return {
    hyperparameters: (group) =>
      buffer({ role: "hyperparameters", ...(group > 0 && { owner: `${group}` }) }, "input", [
        request.optimizer?.numbers(1, 1).length ?? 0,
      ]),
    optimizer: ({ name, shape }) => {
      const planes = request.optimizer?.states.length ?? 0
      if (planes === 0) return undefined
      return buffer({ role: "optimizer", owner: name }, "optimizer", stacked(planes, shape))
    },
    recomputed: (value, scope) =>
      buffer({ role: "recomputed", owner: value, scope }, "scratch", shapeOf(value), {
        elements: scope === "rates" ? "float32" : typeOf(value).elements,
      }),
    gradient: (value, scope) => buffer({ role: "gradient", owner: value, scope }, "scratch", shapeOf(value)),
    gradientSum: (value) => buffer({ role: "accumulator", owner: value }, "accumulator", shapeOf(value)),
    // One per replayed interval of a window and, unless one window covers all steps, one for the state after it.
    checkpoint: (node) => {
      const whole = window === timeSteps && !request.partial
      const slots = Math.ceil(window / checkpointInterval) + (whole ? -1 : 1)
      const every = checkpointInterval
      const shape = stacked((stateOf(node) as State).planes, shapeOf(node.name))
      return buffer({ role: "checkpoint", owner: node.name }, "state", shape, { slots, every })
    },
    carry: (node) => {
      const carried = (stateOf(node)?.edges ?? []).filter((edge) => !request.isCut(edge)).length
      if (carried === 0) return undefined
      return buffer({ role: "carry", owner: node.name }, "accumulator", stacked(carried, shapeOf(node.name)))
    },
    carriedBack: (node) => {
      const { name } = node
      const { steps } = lagOf(node) as { readonly steps: number }
      return buffer({ role: "carry", owner: name }, "accumulator", shapeOf(name), { slots: steps })
    },
    savedValue: (owner, lag) => {
      const whole = window === timeSteps && !request.partial
      const slots = Math.ceil(window / checkpointInterval) + (whole ? -1 : 1)
      const holding = { role: "checkpoint", owner, part: String(lag) } as const
      const { elements } = typeOf(owner)
      return buffer(holding, "state", shapeOf(owner), { elements, slots, every: checkpointInterval })
    },
  }
}
