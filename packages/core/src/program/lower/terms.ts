/** A loss that is a sum of terms: what they add to the steps, and to the end of the run. */
import { zero } from "../../bookkeeping.ts"
import type { LossTerm } from "../../losses/index.ts"
import { termsOf } from "../../losses/objective.ts"
import type { Over, TermContext } from "../../losses/term.ts"
import { kindOf } from "../../losses/term.ts"
import type { Emit, Ref } from "../../op.ts"
import { scaleBackward, scaleForward } from "../../ops/scale.ts"
import { size } from "../../shape.ts"
import { microBatchSize } from "../program.ts"
import { emitter, type Lowering, type Terms } from "./emit.ts"
import type { Scope } from "./memory.ts"

/** The terms over steps, or over the whole run, with their numbers. */
const termsOver = ({ request }: Lowering, over: Over): ReadonlyArray<readonly [LossTerm, number]> =>
  termsOf(request.loss).flatMap((term, i) => (kindOf(term).over(term) === over ? [[term, i] as const] : []))

const contextOf = (
  { request, analysis, memory }: Lowering,
  [term, number]: readonly [LossTerm, number],
  scope: Scope,
  emit: Emit,
  output: Ref,
  gradient: (value: string) => Ref | undefined,
): TermContext => {
  const timeSteps = kindOf(term).over(term) === "step" ? request.timeSteps : 1
  return {
    emit,
    timeSteps,
    elements: timeSteps * request.batchSize * size(analysis.typeOf(analysis.graph.output).shape),
    output,
    labels: memory.labels,
    weights: () => memory.weights(number),
    targets: memory.targets,
    value: memory.term(number),
    layers: analysis.spiking.map(({ name }) => ({
      neurons: microBatchSize(request) * size(analysis.typeOf(name).shape),
      spikes: () => memory.value(name, scope),
      rate: () => memory.rate(name, scope),
      gradient: () => gradient(name),
    })),
    gradient: () => gradient(analysis.graph.output),
  }
}

const nowhere = () => undefined

/** The terms over the whole run, and the gradient of the read-out's mean. */
const measure = (lowering: Lowering): void => {
  const { request, analysis, memory } = lowering
  const { output } = analysis.graph
  const emit = emitter(lowering, "measure", output, "forward")
  const back = emitter(lowering, "measure", output, "backward")
  const mean = memory.mean()
  const sum = { ...memory.meanGradient(), accumulate: true } as const
  emitter(lowering, "begin", output, "backward")(zero, { target: memory.meanGradient() })
  emit(scaleForward, { x: memory.outputs, y: mean }, { factor: 1 / request.timeSteps })
  for (const each of termsOver(lowering, "mean")) {
    kindOf(each[0]).forward(contextOf(lowering, each, "batch", emit, mean, nowhere), each[0], false)
    kindOf(each[0]).backward(
      contextOf(lowering, each, "batch", back, mean, () => sum),
      each[0],
    )
  }
}

/** Before a batch the terms are 0. */
const clear = (lowering: Lowering): void =>
  termsOf(lowering.request.loss).forEach((_, i) => {
    const emit = emitter(lowering, "clear", lowering.analysis.graph.output, "forward")
    emit(zero, { target: lowering.memory.term(i) })
  })

export const lossTerms: Terms = {
  forward: (lowering, scope, segment) => {
    if (segment === "preview") return
    const { analysis, memory } = lowering
    const { output } = analysis.graph
    const emit = emitter(lowering, segment, output, "forward")
    for (const each of termsOver(lowering, "step")) {
      const context = contextOf(lowering, each, scope, emit, memory.value(output, scope), nowhere)
      kindOf(each[0]).forward(context, each[0], segment === "replay")
    }
  },
  backward: (lowering, scope, segment, found, gradient) => {
    const { request, analysis, memory } = lowering
    const { output } = analysis.graph
    const emit = emitter(lowering, segment, output, "backward")
    for (const each of termsOver(lowering, "step"))
      kindOf(each[0]).backward(contextOf(lowering, each, scope, emit, found, gradient), each[0])
    if (termsOver(lowering, "mean").length === 0) return
    const inputGradient = gradient(output)
    if (inputGradient)
      emit(scaleBackward, { outputGradient: memory.meanGradient(), inputGradient }, { factor: 1 / request.timeSteps })
  },
  clear,
  measure,
}
