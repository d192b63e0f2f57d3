/** The forward direction of a node, and of a time step with its loss and metrics. */
import { firingRate } from "../../bookkeeping.ts"
import { elementwiseForward, identity, storing, summed } from "../../expressions/elementwise.ts"
import { leaf } from "../../expressions/expression.ts"
import type { Node } from "../../graph/graph.ts"
import { opOf } from "../../graph/nodes.ts"
import { type Loss, lossForward } from "../../loss.ts"
import type { Context } from "../../op.ts"
import type { Instruction, SegmentName } from "../program.ts"
import type { Decay } from "../traces.ts"
import { contextOf, emitter, type Lowering, termsOf } from "./emit.ts"
import type { Scope } from "./memory.ts"

/** Emits a node's forward direction. `overrides` replace the locations of its values. */
export const forwardNode = (
  lowering: Lowering,
  node: Node,
  scope: Scope,
  segment: SegmentName,
  phase: Instruction["phase"] = "forward",
  overrides: Partial<Pick<Context<unknown>, "input" | "output">> = {},
): void =>
  opOf(node).forward({
    ...contextOf(lowering, node, scope, emitter(lowering, segment, node.name, phase)),
    steps: scope === "batch" ? lowering.request.timeSteps : segment === "replay" || segment === "preview" ? 0 : 1,
    key: () => lowering.memory.key(node),
    ...overrides,
  })

/** Updates the trace of a weight layer's input: trace ← λ·trace + x. */
const updateTrace = (lowering: Lowering, node: Node, decay: Decay, scope: Scope, segment: SegmentName): void => {
  const { memory } = lowering
  const input = node.inputs[0] as string
  const x = memory.value(input, scope)
  const trace = memory.trace(input)
  const [factor, p0] = typeof decay === "number" ? [decay, undefined] : [leaf("p0"), memory.value(decay.value, scope)]
  const moved = storing(leaf("x1").times(factor).plus(leaf("x0")))
  emitter(lowering, segment, node.name, "backward")(elementwiseForward, { x0: x, x1: trace, p0, y: trace }, moved)
}

/** Emits the loss of a step (without labels, only its outputs) and the firing rates. */
const metricsOfStep = (lowering: Lowering, scope: Scope, segment: SegmentName): void => {
  const { request, analysis, memory } = lowering
  const { labels, metrics } = memory
  const terms = termsOf(request)
  for (const { node, ref: y } of memory.outputs) {
    const emit = emitter(lowering, segment, node, "forward")
    const x0 = memory.value(node, scope)
    if (labels && node === analysis.graph.output)
      emit(lossForward, { logits: x0, labels, metrics, outputs: y }, { ...(request.loss as Loss), terms })
    else if (request.outputs === "step") emit(elementwiseForward, { x0, y }, identity)
    else emit(elementwiseForward, { x0, x1: y, y }, summed)
  }
  if (segment === "preview") return
  analysis.spiking.forEach(({ name }, i) => {
    const rate = emitter(lowering, segment, name, "forward")
    rate(firingRate, { spikes: memory.value(name, scope), metrics }, { index: 1 + i, terms })
  })
}

/** Emits a forward time step. Replayed steps do not update metrics again. */
export const forwardStep = (lowering: Lowering, scope: Scope, segment: SegmentName): void => {
  const { request, analysis } = lowering
  const traced = new Set<string>()
  for (const node of analysis.repeated) {
    const decay = request.traces.get(node.name)
    const value = analysis.base(node.inputs[0] ?? "")
    if (decay !== undefined && analysis.isWanted(node.inputs[1] ?? "") && !traced.has(value) && segment !== "preview") {
      updateTrace(lowering, node, decay, scope, segment)
      traced.add(value)
    }
    forwardNode(lowering, node, scope, segment)
  }
  if (segment !== "replay") metricsOfStep(lowering, scope, segment)
  lowering.terms?.forward(lowering, scope, segment)
}
