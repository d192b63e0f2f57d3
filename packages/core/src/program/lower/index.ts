/**
 * The compiler: graph and policy become a program.
 *
 * It lowers every node to instructions, forward and backward, and moves out of the time loop what does not change over time.
 * A value that does not change (a standardised weight; with a static image, everything before the first neuron) is computed
 * once a batch; the gradients that the time steps send to it are summed, and its own backward direction runs once, which is
 * exact because every backward direction is linear in the gradient.
 *
 *     analysis   what the graph is: which nodes run when, and whose gradient is wanted
 *     memory     the buffers
 *     emit       where instructions go, and what an op sees of its node
 *     forward    one node, one time step
 *     backward   the nodes of a segment
 */
import { copy, zero } from "../../bookkeeping.ts"
import type { Graph } from "../../graph/graph.ts"
import { type OptimizerOptions, optimizers } from "../../optimizers/index.ts"
import { fuse } from "../fuse.ts"
import { layOut } from "../layout.ts"
import type { Program } from "../program.ts"
import { keepOverTime } from "../residuals.ts"
import { analyse } from "./analysis.ts"
import { backward } from "./backward.ts"
import { emitter, emptySegments, type Lowering } from "./emit.ts"
import { forwardNode, forwardStep } from "./forward.ts"
import { makeMemory } from "./memory.ts"
import type { Request } from "./request.ts"

export type { Request } from "./request.ts"

/** Before the first step: what accumulates is 0, and so is the state; what does not change over time runs. */
const begin = (lowering: Lowering): void => {
  const { request, analysis, memory } = lowering
  const { output } = analysis.graph
  emitter(lowering, "clear", output, "forward")(zero, { target: memory.metrics })
  emitter(lowering, "begin", output, "forward")(zero, { target: memory.outputs })
  for (const node of analysis.stateful)
    emitter(lowering, "begin", node.name, "forward")(zero, { target: { ...memory.state(node), lag: 1 } })
  const traced = analysis.repeated.filter(({ name }) => request.traces.has(name))
  for (const value of new Set(traced.map(({ inputs: [x = ""] }) => analysis.base(x))))
    emitter(lowering, "begin", output, "forward")(zero, { target: memory.trace(value) })
  for (const node of analysis.hoisted) forwardNode(lowering, node, "batch", "begin")
}

/** Saves the state that steps start from, and puts it back, so that they can be replayed. */
const checkpoints = (lowering: Lowering): void => {
  const { analysis, memory } = lowering
  for (const node of analysis.stateful) {
    const before = { ...memory.state(node), lag: 1 } as const
    emitter(lowering, "save", node.name, "forward")(copy, { source: before, target: memory.checkpoint(node) })
    emitter(lowering, "restore", node.name, "forward")(copy, { source: memory.checkpoint(node), target: before })
  }
}

/** The steps that are trained: each by itself, or forward through a window and then back. */
const trainedSteps = (lowering: Lowering): void => {
  const { request, analysis, memory } = lowering
  const { repeated } = analysis
  if (request.window === 1) {
    forwardStep(lowering, "train", "train")
    backward(lowering, repeated, "train", "train", { withLoss: true })
    return
  }
  forwardStep(lowering, "keep", "keep")
  if (request.checkpointInterval < request.window) {
    checkpoints(lowering)
    forwardStep(lowering, "keep", "replay")
  }
  backward(lowering, repeated, "keep", "backward", { withLoss: true })
  if (request.partial) backward(lowering, repeated, "keep", "backwardThrough", { withLoss: false })
  for (const node of analysis.stateful)
    if (analysis.isWanted(node.name))
      emitter(lowering, "beginBackward", node.name, "backward")(zero, { target: memory.carry(node) })
}

/** Around the steps: the gradients of a batch begin at 0, reach what does not change over time, and update the weights. */
const update = (lowering: Lowering, options: OptimizerOptions): void => {
  const { analysis, memory } = lowering
  backward(lowering, analysis.hoisted, "batch", "end", { withLoss: false })
  for (const weight of analysis.weights)
    emitter(lowering, "clear", weight.name, "backward")(zero, { target: memory.parameterGradient(weight) })
  for (const { name } of analysis.hoisted)
    if (analysis.isWanted(name) && analysis.sumsGradients(name))
      emitter(lowering, "begin", name, "backward")(zero, { target: memory.gradientSum(name) })

  const { kernel, state, attributes } = optimizers[options.name]
  const hyperparameters = memory.hyperparameters()
  for (const weight of analysis.weights) {
    const parameter = memory.parameter(weight)
    const gradient = memory.parameterGradient(weight)
    const parts = Object.fromEntries(state.map((part) => [part, memory.optimizer(part, weight)]))
    const emit = emitter(lowering, "update", weight.name, "update")
    emit(kernel, { parameter, gradient, hyperparameters, ...parts }, attributes(options))
  }
}

export const lower = (graph: Graph, request: Request): Program => {
  const analysis = analyse(graph, request)
  const lowering: Lowering = { request, analysis, memory: makeMemory(analysis, request), segments: emptySegments() }
  const { mode, window, checkpointInterval, partial, optimizer } = request

  begin(lowering)
  if (mode === "inference" || partial || checkpointInterval < window) forwardStep(lowering, "forward", "forward")
  if (mode === "training" && optimizer) {
    trainedSteps(lowering)
    update(lowering, optimizer)
  }

  const { segments } = lowering
  const stored = keepOverTime(lowering.memory.buffers, segments, checkpointInterval, request.encoding)
  return {
    mode,
    policy: request.policy,
    batchSize: request.batchSize,
    microBatches: request.microBatches,
    timeSteps: request.timeSteps,
    encoding: request.encoding,
    window,
    checkpointInterval,
    trainedSteps: request.trainedSteps,
    loss: request.loss,
    optimizer,
    ...layOut(fuse(stored, segments), segments),
    segments,
    neurons: analysis.spiking.map(({ name }) => name),
  }
}
