/** Lowering of training programs. */
import { copy, zero } from "../../bookkeeping.ts"
import { elementwiseForward, identity } from "../../expressions/elementwise.ts"
import type { Graph } from "../../graph/graph.ts"
import { termsOf } from "../../losses/objective.ts"
import type { Optimizer } from "../../optimizers/optimizer.ts"
import { fuse } from "../fuse.ts"
import type { Program } from "../program.ts"
import { recomputed as recomputedValues } from "../recompute.ts"
import { keepOverTime } from "../residuals.ts"
import { analyse } from "./analysis.ts"
import { backward } from "./backward.ts"
import { emitter, type Lowering } from "./emit.ts"
import { forwardStep } from "./forward.ts"
import { begin, finish, pastOf, toRest } from "./index.ts"
import { separateParts } from "./parts.ts"
import type { Request } from "./request.ts"
import { trainingMemory } from "./training-memory.ts"
import { updateWeights } from "./update.ts"

const nothing: ReadonlySet<string> = new Set()

/** Emits the segments that save and restore the state before steps that are replayed. */
const checkpoints = (lowering: Lowering): void => {
  const { analysis, memory } = lowering
  for (const node of analysis.stateful) {
    const before = { ...memory.state(node), lag: 1 } as const
    emitter(
      lowering,
      "save",
      node.name,
      "forward",
    )(copy, { source: before, target: trainingMemory(lowering).checkpoint(node) })
    emitter(
      lowering,
      "restore",
      node.name,
      "forward",
    )(copy, { source: trainingMemory(lowering).checkpoint(node), target: before })
  }
  for (const [source, lag] of pastOf(lowering)) {
    const past = { ...memory.value(source, "batch"), lag }
    const saved = trainingMemory(lowering).savedValue(source, lag)
    emitter(lowering, "save", source, "forward")(elementwiseForward, { x0: past, y: saved }, identity)
    emitter(lowering, "restore", source, "forward")(elementwiseForward, { x0: saved, y: past }, identity)
  }
}

/** Emits trained steps: each on its own, or forward through a window and then back. */
const trainedSteps = (lowering: Lowering): void => {
  const { request, analysis, memory } = lowering
  const { repeated } = analysis
  const recomputed = request.recompute
    ? new Set([...recomputedValues(analysis)].filter((value) => analysis.longestLag(value) === 0))
    : nothing
  if (request.window === 1) {
    forwardStep(lowering, "train", "train")
    backward(lowering, repeated, "train", "train", { withLoss: true, recomputed })
    return
  }
  forwardStep(lowering, "keep", "keep")
  if (request.checkpointInterval < request.window) {
    checkpoints(lowering)
    forwardStep(lowering, "keep", "replay")
  }
  backward(lowering, repeated, "keep", "backward", { withLoss: true, recomputed })
  if (request.partial) backward(lowering, repeated, "keep", "backwardThrough", { withLoss: false, recomputed })
  for (const { node } of analysis.lagged.values())
    if (analysis.isWanted(node.name)) {
      const carried = trainingMemory(lowering).carriedBack(node)
      for (let lag = 0; lag < (memory.buffers[carried.buffer]?.slots ?? 0); lag++)
        emitter(lowering, "beginBackward", node.name, "backward")(zero, { target: { ...carried, lag } })
    }
  for (const node of analysis.stateful) {
    const target = analysis.isWanted(node.name) ? trainingMemory(lowering).carry(node) : undefined
    if (target) emitter(lowering, "beginBackward", node.name, "backward")(zero, { target })
  }
}

/**
 * Emits what surrounds the steps: clearing the gradients of a batch, the backward direction of time-invariant values, and the
 * update of the weights.
 */
const update = (lowering: Lowering): void => {
  const { analysis, memory } = lowering
  backward(lowering, analysis.hoisted, "batch", "end", { withLoss: false, recomputed: nothing })
  for (const weight of analysis.weights)
    emitter(lowering, "clear", weight.name, "backward")(zero, { target: memory.parameterGradient(weight) })
  for (const { name } of analysis.hoisted)
    if (analysis.isWanted(name) && analysis.sumsGradients(name))
      emitter(lowering, "begin", name, "backward")(zero, { target: trainingMemory(lowering).gradientSum(name) })
  updateWeights(lowering)
  separateParts(lowering)
}

/** Lowers a graph to a training program. */
export const lowerTraining = (graph: Graph, request: Request & { readonly optimizer: Optimizer }): Program => {
  const { window, checkpointInterval, partial, encoding } = request
  const analysis = analyse(graph, request)
  const terms = termsOf(request.loss)[0]?.kind.lowering
  if (request.rates) {
    const lowering = request.rates.lower(analysis, request, terms)
    update(lowering)
    return finish(lowering, lowering.memory.buffers)
  }
  const lowering = begin(request.eligibility?.(analysis, request) ?? analysis, request, terms)
  terms?.begin(lowering)
  if (partial || checkpointInterval < window) forwardStep(lowering, "forward", "forward")
  if (request.forwardRuns === 2) {
    forwardStep(lowering, "forward", "preview")
    toRest(lowering, "restart")
  }
  if (request.forwardRuns) terms?.measure(lowering)
  trainedSteps(lowering)
  update(lowering)
  const { segments, memory } = lowering
  return finish(lowering, fuse(keepOverTime(memory.buffers, segments, checkpointInterval, encoding), segments))
}
