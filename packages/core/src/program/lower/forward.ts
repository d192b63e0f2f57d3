/** The forward direction: of one node, and of a time step with its loss and metrics. */
import { firingRate, zero } from "../../bookkeeping.ts"
import { encode } from "../../expressions/code.ts"
import { elementwiseForward } from "../../expressions/elementwise.ts"
import { leaf } from "../../expressions/expression.ts"
import type { Node } from "../../graph/graph.ts"
import { opOf } from "../../graph/nodes.ts"
import { accumulateOutputs, type Loss, lossForward } from "../../loss.ts"
import type { Context } from "../../op.ts"
import type { Instruction, SegmentName } from "../program.ts"
import type { Decay } from "../traces.ts"
import { contextOf, emitter, type Lowering, termsOf } from "./emit.ts"
import type { Scope } from "./memory.ts"

/** Emits a node's forward direction; `overrides` say where else its values are. */
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

/** Moves the trace of a weight layer's input by one step: trace ← λ·trace + x. */
const moveTrace = (lowering: Lowering, node: Node, decay: Decay, scope: Scope, segment: SegmentName): void => {
  const { memory } = lowering
  const input = node.inputs[0] as string
  const x = memory.value(input, scope)
  const trace = memory.trace(input)
  const emit = emitter(lowering, segment, node.name, "backward")
  const isFixed = typeof decay === "number"
  const { code, places } = encode([
    leaf("x1")
      .times(isFixed ? decay : leaf("p0"))
      .plus(leaf("x0")),
  ])
  const p0 = isFixed ? undefined : memory.value(decay.value, scope)
  emit(elementwiseForward, { x0: x, x1: trace, p0, y: trace }, { code, state: [], y: places[0] as number })
}

/** The loss of a step, or its outputs alone where there are no labels, and the firing rates. */
const metricsOfStep = (lowering: Lowering, scope: Scope, segment: SegmentName): void => {
  const { request, analysis, memory } = lowering
  const { labels, metrics } = memory
  const terms = termsOf(request)
  for (const { node, ref: outputs } of memory.outputs) {
    const emit = emitter(lowering, segment, node, "forward")
    const logits = memory.value(node, scope)
    if (labels && node === analysis.graph.output) {
      emit(lossForward, { logits, labels, metrics, outputs }, { ...(request.loss as Loss), terms })
      continue
    }
    if (request.outputs === "step") emit(zero, { target: outputs })
    emit(accumulateOutputs, { logits, outputs })
  }
  if (segment === "preview") return
  analysis.spiking.forEach(({ name }, i) => {
    const rate = emitter(lowering, segment, name, "forward")
    rate(firingRate, { spikes: memory.value(name, scope), metrics }, { index: 1 + i, terms })
  })
}

/** A time step forward. A step that is replayed has been counted in the metrics before. */
export const forwardStep = (lowering: Lowering, scope: Scope, segment: SegmentName): void => {
  const { request, analysis } = lowering
  const traced = new Set<string>()
  for (const node of analysis.repeated) {
    const decay = request.traces.get(node.name)
    const value = analysis.base(node.inputs[0] ?? "")
    if (decay !== undefined && analysis.isWanted(node.inputs[1] ?? "") && !traced.has(value) && segment !== "preview") {
      moveTrace(lowering, node, decay, scope, segment)
      traced.add(value)
    }
    forwardNode(lowering, node, scope, segment)
  }
  if (segment !== "replay") metricsOfStep(lowering, scope, segment)
  lowering.terms?.forward(lowering, scope, segment)
}
