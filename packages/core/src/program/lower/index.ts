/**
 * The compiler: turns a graph and a policy into a program.
 *
 * It lowers every node to instructions, forward and backward, and moves time-invariant computations out of the time loop. A
 * time-invariant value (a standardised weight; with a static image, everything before the first neuron) is computed once per batch.
 * The gradients that time steps send to it are summed, and its backward direction runs once; that is exact, because every backward
 * direction is linear in the gradient.
 *
 *     analysis   which nodes run when, and whose gradients are wanted
 *     memory     the buffers
 *     emit       emitting instructions, and the context of an op
 *     forward    one node, one time step
 *     backward   the nodes of a segment
 *     rates      rate-based backpropagation
 *     training   training programs; inference programs are lowered in this file, without the rest
 */
import { zero } from "../../bookkeeping.ts"
import { elementwiseForward } from "../../expressions/elementwise.ts"
import type { Graph, Node } from "../../graph/graph.ts"
import { outputsOf, stateNamed, stateOf } from "../../graph/nodes.ts"
import type { Ref, State } from "../../op.ts"
import { type DraftBuffer, layOut } from "../layout.ts"
import type { Program, SegmentName } from "../program.ts"
import { type Analysis, analyse } from "./analysis.ts"
import { emitter, emptySegments, type Lowering, type Terms } from "./emit.ts"
import { forwardNode, forwardStep } from "./forward.ts"
import { makeMemory } from "./memory.ts"
import type { Request } from "./request.ts"

export type { Request } from "./request.ts"

/** Values that later steps read, with each of their lags. */
export const pastOf = ({ analysis }: Lowering): ReadonlyArray<readonly [source: string, lag: number]> =>
  [...new Set([...analysis.lagged.values()].map(({ source }) => source))].flatMap((source) =>
    Array.from({ length: analysis.longestLag(source) }, (_, i) => [source, i + 1] as const),
  )

/** Sets the state of a node to its initial values. */
const resetState = (lowering: Lowering, node: Node, segment: SegmentName): void => {
  const { rest: values } = stateOf(node) as State
  const emit = emitter(lowering, segment, node.name, "forward")
  const state = { ...lowering.memory.state(node), lag: 1 } as const
  if (values.every((value) => value === 0)) emit(zero, { target: state })
  else
    emit(
      elementwiseForward,
      { state },
      { code: values.map((value) => ["constant", value] as const), state: values.map((_, plane) => plane), y: -1 },
    )
}

/** Before the first step: clears outputs and lagged values, and resets the states. */
export const toRest = (lowering: Lowering, segment: SegmentName): void => {
  const { analysis, memory } = lowering
  for (const { node, ref } of memory.outputs) emitter(lowering, segment, node, "forward")(zero, { target: ref })
  for (const node of analysis.stateful) resetState(lowering, node, segment)
  for (const [source, lag] of pastOf(lowering))
    emitter(lowering, segment, source, "forward")(zero, { target: { ...memory.value(source, "batch"), lag } })
}

/** Starts the lowering of a graph: clears accumulators, resets the states, and computes time-invariant values. */
export const begin = (analysis: Analysis, request: Request, terms?: Terms): Lowering => {
  const memory = makeMemory(analysis, request)
  const lowering: Lowering = { request, analysis, memory, segments: emptySegments(), ...(terms && { terms }) }
  const { output } = analysis.graph
  emitter(lowering, "clear", output, "forward")(zero, { target: memory.metrics })
  toRest(lowering, "begin")
  const traced = analysis.repeated.filter(
    ({ name, inputs: [, w = ""] }) => request.traces.has(name) && analysis.isWanted(w),
  )
  for (const value of new Set(traced.map(({ inputs: [x = ""] }) => analysis.base(x))))
    emitter(lowering, "begin", output, "forward")(zero, { target: memory.trace(value) })
  for (const node of analysis.hoisted) forwardNode(lowering, node, "batch", "begin")
  return lowering
}

/** The program of a lowered graph, with its buffers laid out. */
export const finish = ({ request, analysis, segments }: Lowering, buffers: ReadonlyArray<DraftBuffer>): Program => ({
  mode: request.mode,
  policy: request.policy,
  batchSize: request.batchSize,
  microBatches: request.microBatches,
  timeSteps: request.timeSteps,
  encoding: request.encoding,
  window: request.window,
  checkpointInterval: request.checkpointInterval,
  trainedSteps: request.trainedSteps,
  outputs: outputsOf(analysis.graph),
  loss: request.loss,
  ...(request.forwardRuns && { forwardRuns: request.forwardRuns }),
  optimizer: request.optimizer,
  ...(request.trained && { groups: request.trained.groups }),
  ...layOut(buffers, segments),
  segments,
  neurons: analysis.spiking.map(({ name }) => name),
})

/** The buffers of the recorded nodes and states, by name. */
const recorded = (lowering: Lowering): Readonly<Record<string, string>> => {
  const { request, analysis, memory } = lowering
  const refOf = (name: string): Ref => {
    const lagged = analysis.lagged.get(analysis.base(name))
    // A value of an earlier step is among those that its source stores for later steps.
    if (lagged) return copied(lowering, name, lagged.node, { code: [["leaf", "x0"]], y: 0, firstParameter: 0 })
    const state = analysis.graph.types.has(name) ? undefined : stateNamed(analysis.graph, name)
    if (state) return copied(lowering, name, state.node, (stateOf(state.node) as State).read(state.edge))
    return memory.value(name, "forward")
  }
  const buffers = request.record.map((name) => [name, refOf(name).buffer] as const)
  return Object.fromEntries(buffers.map(([name, buffer]) => [name, (memory.buffers[buffer] as DraftBuffer).name]))
}

/** Records for every step an expression of a node's value, `x0`, its stored state and its parameters. */
const copied = (
  lowering: Lowering,
  name: string,
  node: Node,
  { code, y: place, firstParameter }: ReturnType<State["read"]>,
): Ref => {
  const { memory, request } = lowering
  const slots = request.timeSteps
  const y = memory.buffer({ role: "value", owner: name }, "metric", memory.shapeOf(node.name), { slots })
  const ofLeaf = (leaf: string): Ref => {
    if (leaf.startsWith("before")) return memory.state(node)
    const value = leaf === "x0" ? node.name : (node.inputs[firstParameter + Number(leaf.slice(1))] as string)
    return memory.value(value, "forward")
  }
  const operands = code.flatMap((line) => (line[0] === "leaf" ? [[line[1].split(".")[0], ofLeaf(line[1])]] : []))
  const emit = emitter(lowering, "forward", node.name, "forward")
  emit(elementwiseForward, { ...Object.fromEntries(operands), y }, { code, state: [], y: place })
  return y
}

/** Lowers a graph to an inference program. */
export const lowerInference = (graph: Graph, request: Request): Program => {
  const lowering = begin(analyse(graph, request), request)
  forwardStep(lowering, "forward", "forward")
  const recording = request.record.length > 0 && { recorded: recorded(lowering) }
  return { ...finish(lowering, lowering.memory.buffers), ...recording }
}
