/** The backward direction through the nodes of a segment. */
import { zero } from "../../bookkeeping.ts"
import { adding, elementwiseBackward } from "../../expressions/elementwise.ts"
import { leaf } from "../../expressions/expression.ts"
import type { Node } from "../../graph/graph.ts"
import { opOf } from "../../graph/nodes.ts"
import { type Loss, lossBackward } from "../../loss.ts"
import type { Ref } from "../../op.ts"
import { type SegmentName, segmentKinds } from "../program.ts"
import { contextOf, emitter, type Lowering, termsOf } from "./emit.ts"
import { forwardNode } from "./forward.ts"
import type { Scope } from "./memory.ts"
import { trainingMemory } from "./training-memory.ts"

/** The buffers for gradients within one segment: the first gradient to arrive at a value sets it, later ones add to it. */
const gradientsIn = (lowering: Lowering, segment: SegmentName) => {
  const { analysis, memory } = lowering
  const own = trainingMemory(lowering)
  const written = new Set<string>()
  return {
    /** The buffer for the gradient of a value; `undefined` if it is not wanted. Call it once per instruction. */
    target: (value: string): Ref | undefined => {
      const name = analysis.base(value)
      if (!analysis.isWanted(name)) return undefined
      const parameter = analysis.parameterOf(name)
      if (parameter) return { ...memory.parameterGradient(parameter), accumulate: true }
      if (analysis.sumsGradients(name)) return { ...own.gradientSum(name), accumulate: true }
      const edge = analysis.lagged.get(name)
      // A gradient that arrives at a lagged edge waits until the step that it leads to reads it.
      const ref = edge ? own.carriedBack(edge.node) : own.gradient(name, segment)
      if (written.has(name)) return { ...ref, accumulate: true }
      written.add(name)
      return ref
    },
    has: (value: string): boolean => written.has(value),
    /** The gradient that has arrived at a node's output, if any. */
    arrived: ({ name }: Pick<Node, "name">): Ref | undefined => {
      if (analysis.sumsGradients(name)) return own.gradientSum(name)
      return written.has(name) ? own.gradient(name, segment) : undefined
    },
  }
}

/** Values of the forward step for a backward segment: stored, or recomputed on first use from values found in the same way. */
const valuesIn = (
  lowering: Lowering,
  recomputed: ReadonlySet<string>,
  scope: Scope,
  segment: SegmentName,
): ((value: string) => Ref) => {
  const { analysis, memory } = lowering
  const own = trainingMemory(lowering)
  const known = new Map<string, Ref>()
  const isSeparate = segmentKinds[segment].direction === "backward"
  const isRecomputed = (node: Node): boolean =>
    memory.scopeOf(node.name, scope) !== "batch" &&
    (recomputed.has(node.name) || (isSeparate && opOf(node).recompute === "cheap"))

  const find = (value: string): Ref => {
    const node = analysis.nodeOf(analysis.base(value))
    if (node === undefined || !isRecomputed(node)) return memory.value(value, scope)
    const found = known.get(node.name)
    if (found) return found
    const output = own.recomputed(node.name, segment)
    known.set(node.name, output)
    const input = (i: number) => find(node.inputs[i] as string)
    forwardNode(lowering, node, scope, segment, "backward", { output, input })
    return output
  }
  return find
}

/** Emits the backward direction of nodes into a segment that reads the values of a scope and may recompute some of them. */
export const backward = (
  lowering: Lowering,
  nodes: ReadonlyArray<Node>,
  scope: Scope,
  segment: SegmentName,
  {
    withLoss,
    recomputed,
    logits,
  }: {
    readonly withLoss: boolean
    readonly recomputed: ReadonlySet<string>
    /** The read-out for the loss, if it is not among the segment's values. */
    readonly logits?: Ref
  },
): void => {
  const { request, analysis, memory } = lowering
  const own = trainingMemory(lowering)
  const gradients = gradientsIn(lowering, segment)
  const value = valuesIn(lowering, recomputed, scope, segment)
  const isSeparate = segmentKinds[segment].direction === "backward"

  const edges = isSeparate
    ? [...analysis.lagged.values()].map(({ node }) => node).filter(({ name }) => analysis.isWanted(name))
    : []
  for (const edge of edges) {
    const dx0 = gradients.target(edge.inputs[0] as string)
    if (dx0 === undefined) continue
    const emit = emitter(lowering, segment, edge.name, "backward")
    emit(elementwiseBackward, { dy: own.carriedBack(edge), dx0 }, adding(leaf("dy")))
  }

  const { output } = analysis.graph
  if (withLoss) lowering.terms?.backward(lowering, scope, segment, value, gradients.target)
  const logitsGradient = withLoss && lowering.terms === undefined ? gradients.target(output) : undefined
  if (logitsGradient) {
    const operands = { logits: logits ?? value(output), labels: memory.labels, logitsGradient }
    const attributes = { ...(request.loss as Loss), terms: termsOf(request) }
    emitter(lowering, segment, output, "backward")(lossBackward, operands, attributes)
  }

  for (const node of nodes.toReversed()) {
    if (!analysis.isWanted(node.name)) continue
    const inputOf = (i: number) => node.inputs[i] as string
    opOf(node).backward({
      outputGradient: gradients.arrived(node),
      ...contextOf(lowering, node, scope, emitter(lowering, segment, node.name, "backward")),
      input: (i) => value(inputOf(i)),
      presynaptic: () => (request.traces.has(node.name) ? memory.trace(inputOf(0)) : value(inputOf(0))),
      gradientOf: (name) => gradients.arrived({ name }),
      gradient: (i) => gradients.target(inputOf(i)),
      unwanted: (i) => own.gradient(inputOf(i), segment),
      carry: isSeparate ? own.carry(node) : undefined,
      isCut: request.isCut,
    })
  }
  for (const edge of edges)
    if (!gradients.has(edge.name))
      emitter(lowering, segment, edge.name, "backward")(zero, { target: own.carriedBack(edge) })
}
