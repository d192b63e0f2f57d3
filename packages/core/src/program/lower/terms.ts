/** The lowering of a loss that is a sum of terms: instructions in the steps, and at the end of the run. */
import { zero } from "../../bookkeeping.ts"
import { elementwiseForward } from "../../expressions/elementwise.ts"
import { leaf, of } from "../../expressions/expression.ts"
import { outputsOf } from "../../graph/nodes.ts"
import { checkTerms } from "../../losses/check.ts"
import type { LossTerm } from "../../losses/index.ts"
import { askedBy, ownerOf, termsOf } from "../../losses/objective.ts"
import { kindOf, type Over, type TermContext } from "../../losses/term.ts"
import { toldBy } from "../../losses/told.ts"
import type { Emit, Ref } from "../../op.ts"
import { size } from "../../shape.ts"
import { microBatchSize, type SegmentName } from "../program.ts"
import { emitter, type Lowering, type Terms } from "./emit.ts"
import type { Scope } from "./memory.ts"
import { type Reduction, reductions } from "./reductions.ts"

/** A term and one value that it measures. */
interface Placed {
  readonly term: LossTerm
  /** Index of the term in the loss. */
  readonly number: number
  readonly node: string
  readonly over: Over
}

/** The node that a term names: an output, or any node. */
const nodeOf = ({ analysis: { graph } }: Pick<Lowering, "analysis">, named: string | undefined): string =>
  named === undefined ? graph.output : (graph.outputs?.[named] ?? named)

const placed = (lowering: Lowering): ReadonlyArray<Placed> =>
  termsOf(lowering.request.loss).flatMap((term, number) => {
    const kind = kindOf(term)
    const at = kind.at(term)
    const nodes = at === true ? lowering.analysis.spiking.map(({ name }) => name) : [nodeOf(lowering, at)]
    return nodes.map((node) => ({ term, number, node, over: kind.over(term) }))
  })

const isOfSteps = ({ over }: Placed): boolean => over === "step" || over === "last"

/** Values that terms reduce over the run, once per reduction. */
const reduced = (
  lowering: Lowering,
): ReadonlyArray<Pick<Placed, "node" | "over"> & { readonly reduction: Reduction }> => {
  const all = placed(lowering).filter((each) => !isOfSteps(each))
  const first = (each: Placed) => all.find(({ node, over }) => node === each.node && over === each.over)
  return all
    .filter((each) => first(each) === each)
    .map(({ node, over }) => ({ node, over, reduction: reductions[over as keyof typeof reductions] }))
}

const needsTime = (lowering: Lowering): boolean =>
  placed(lowering).some(({ over }) => over === "last" || over === "max")

/** The number of the step, counted from 1. */
const timeOf = ({ memory, request }: Lowering): Ref =>
  memory.buffer({ role: "time" }, "state", [1], { slots: request.window })

const reducedOf = ({ memory }: Lowering, owner: string, part: string): Ref =>
  memory.buffer({ role: "reduced", owner, part }, "accumulator", memory.shapeOf(owner))

const gradientOf = ({ memory }: Lowering, owner: string, part: string): Ref =>
  memory.buffer({ role: "reducedGradient", owner, part }, "accumulator", memory.shapeOf(owner))

const placesOf = (lowering: Lowering, node: string, over: Over) => ({
  ...{ timeSteps: lowering.request.timeSteps, time: () => timeOf(lowering) },
  /** The sum of a read-out is computed anyway. */
  summed: over === "max" ? undefined : lowering.memory.outputs.find((each) => each.node === node)?.ref,
  part: (name: string) => reducedOf(lowering, node, `${over}.${name}`),
})

const contextOf = (
  lowering: Lowering,
  { term, number, node, over }: Placed,
  scope: Scope,
  emit: Emit,
  output: () => Ref,
  gradient: () => Ref | undefined,
): TermContext => {
  const { request, analysis, memory } = lowering
  const kind = kindOf(term)
  const timeSteps = over === "step" ? request.timeSteps : 1
  const elements = size(analysis.typeOf(node).shape)
  const samples = microBatchSize(request)
  const outputs = outputsOf(analysis.graph)
  const owner = ownerOf(outputs, kind.at(term))
  const told = (role: "labels" | "targets", shape: ReadonlyArray<number>) => {
    const asked = askedBy(request.loss, outputs, kind.targets(term)).find((each) => each.owner === owner)
    const holding = { role, ...(owner !== undefined && { owner }) }
    return memory.buffer(holding, "input", shape, { slots: asked?.anyBySteps ? request.timeSteps : 1 })
  }
  const slots = over === "step" || over === "last" ? request.timeSteps : 1
  return {
    emit,
    timeSteps,
    runSteps: request.timeSteps,
    elements: timeSteps * request.batchSize * elements,
    count: samples * elements,
    output,
    labels: () => told("labels", [samples]),
    weights: () => memory.buffer({ role: "weights", owner: `${number}` }, "input", [samples], { slots }),
    targets: () => told("targets", memory.shapeOf(node)),
    rows: () => memory.buffer({ role: "rows", owner: `${number}` }, "input", memory.shapeOf(node), { slots }),
    value: termOf(lowering, number),
    rate: () => memory.buffer({ role: "rate", owner: node, ...(scope === "batch" ? {} : { scope }) }, "scratch", [1]),
    counts: over === "last" ? leaf("p0").atLeast(request.timeSteps) : of(1),
    time: () => timeOf(lowering),
    gradient,
  }
}

const termOf = ({ memory }: Lowering, number: number): Ref =>
  memory.buffer({ role: "term", owner: `${number}` }, "metric", [1])

const nowhere = () => undefined

/** Emits the terms over the whole run, and the gradients of their values. */
const measure = (lowering: Lowering): void => {
  for (const { node, over, reduction } of reduced(lowering)) {
    const places = placesOf(lowering, node, over)
    const emit = emitter(lowering, "measure", node, "forward")
    const back = emitter(lowering, "measure", node, "backward")
    const value = reduction.value(emit, places)
    const gradient = { ...gradientOf(lowering, node, over), accumulate: true } as const
    for (const each of placed(lowering)) {
      if (each.node !== node || each.over !== over) continue
      const context = (to: Emit) =>
        contextOf(
          lowering,
          each,
          "batch",
          to,
          () => value,
          () => gradient,
        )
      kindOf(each.term).forward(context(emit), each.term, false)
      kindOf(each.term).backward(context(back), each.term)
    }
  }
}

/** Clears the terms before a batch, and the reductions before a run. */
const begin = (lowering: Lowering): void => {
  const { analysis, request } = lowering
  termsOf(request.loss).forEach((_, i) => {
    emitter(lowering, "clear", analysis.graph.output, "forward")(zero, { target: termOf(lowering, i) })
  })
  for (const segment of ["begin", "restart"] as const) {
    if (segment === "restart" && request.forwardRuns !== 2) continue
    if (needsTime(lowering))
      emitter(lowering, segment, analysis.graph.output, "forward")(zero, { target: { ...timeOf(lowering), lag: 1 } })
  }
  for (const { node, over, reduction } of reduced(lowering)) {
    reduction.begin(emitter(lowering, "begin", node, "forward"), placesOf(lowering, node, over))
    emitter(lowering, "begin", node, "backward")(zero, { target: gradientOf(lowering, node, over) })
  }
}

/** Whether a run of steps is the one to reduce: the first. */
const isReduced = ({ request }: Lowering, segment: SegmentName): boolean =>
  request.forwardRuns === 2 ? segment === "preview" : segment !== "replay"

export const lossTerms: Terms = {
  forward: (lowering, scope, segment) => {
    const { analysis, memory } = lowering
    if (needsTime(lowering) && segment !== "replay") {
      const time = timeOf(lowering)
      const next = [
        ["leaf", "x0"],
        ["constant", 1],
        ["add", 0, 1],
      ] as const
      emitter(
        lowering,
        segment,
        analysis.graph.output,
        "forward",
      )(elementwiseForward, { x0: { ...time, lag: 1 }, y: time }, { code: next, state: [], y: 2 })
    }
    const valueAt = (node: string) => memory.value(node, scope)
    if (isReduced(lowering, segment))
      for (const { node, over, reduction } of reduced(lowering))
        reduction.step(emitter(lowering, segment, node, "forward"), placesOf(lowering, node, over), valueAt(node))
    if (segment === "preview") return
    for (const each of placed(lowering).filter(isOfSteps)) {
      const emit = emitter(lowering, segment, each.node, "forward")
      const context = contextOf(lowering, each, scope, emit, () => valueAt(each.node), nowhere)
      kindOf(each.term).forward(context, each.term, segment === "replay")
    }
  },
  backward: (lowering, scope, segment, value, gradient) => {
    for (const each of placed(lowering).filter(isOfSteps)) {
      const emit = emitter(lowering, segment, each.node, "backward")
      const { node, term } = each
      const context = contextOf(
        lowering,
        each,
        scope,
        emit,
        () => value(node),
        () => gradient(node),
      )
      kindOf(term).backward(context, term)
    }
    for (const { node, over, reduction } of reduced(lowering)) {
      const inputGradient = gradient(node)
      const emit = emitter(lowering, segment, node, "backward")
      if (inputGradient)
        reduction.backward(emit, placesOf(lowering, node, over), gradientOf(lowering, node, over), inputGradient)
    }
  },
  begin,
  measure,
  check: checkTerms,
  told: toldBy,
}
