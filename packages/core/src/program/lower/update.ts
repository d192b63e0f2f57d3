/** The update of the weights, including gradient clipping. */
import { zero } from "../../bookkeeping.ts"
import { encode } from "../../expressions/code.ts"
import { type ElementwiseForward, elementwiseBackward, elementwiseForward } from "../../expressions/elementwise.ts"
import { type Expression, leaf, maximum, minimum, of, sqrt } from "../../expressions/expression.ts"
import type { Ref } from "../../op.ts"
import { emitter, type Lowering } from "./emit.ts"
import type { Request } from "./request.ts"
import { trainingMemory } from "./training-memory.ts"

/** Avoids a division by a norm of 0, as in PyTorch. */
const epsilon = 1e-6

/**
 * The factor that limits the norm of all gradients. The squares are of gradients divided by the limit, so that they stay within
 * float32.
 */
const scaleOf = (lowering: Lowering, norm: number): Ref => {
  const { analysis, memory } = lowering
  const { output } = analysis.graph
  const sum = memory.buffer({ role: "norm" }, "scratch", [1])
  const scale = memory.buffer({ role: "norm", part: "scale" }, "scratch", [1])
  const emit = emitter(lowering, "update", output, "update")
  emit(zero, { target: sum })
  const share = leaf("x0").times(1 / norm)
  const squares = encode([share.times(share)])
  for (const weight of analysis.weights)
    emitter(
      lowering,
      "update",
      weight.name,
      "update",
    )(
      elementwiseBackward,
      { x0: memory.parameterGradient(weight), dp0: { ...sum, accumulate: true } },
      { code: squares.code, carry: [], dx: [], dp: squares.places },
    )
  const factor = encode([minimum(of(1).dividedBy(sqrt(leaf("x0")).plus(epsilon / norm)), 1)])
  emit(elementwiseForward, { x0: sum, y: scale }, { code: factor.code, state: [], y: factor.places[0] as number })
  return scale
}

/** The gradient `x0`, scaled by `p0` and clipped. */
const clipped = ({ clipNorm, clipValue }: Pick<Request, "clipNorm" | "clipValue">): Expression => {
  const scaled = clipNorm === undefined ? leaf("x0") : leaf("x0").times(leaf("p0"))
  return clipValue === undefined ? scaled : maximum(minimum(scaled, clipValue), -clipValue)
}

/** Updates each weight with the optimiser of its group. */
export const updateWeights = (lowering: Lowering): void => {
  const { request, analysis, memory } = lowering
  const { trained, clipNorm } = request
  const own = trainingMemory(lowering)
  if (trained === undefined) return
  const updates = trained.groups.map(({ optimizer }) => optimizer.update(clipped(request)))
  const scale = clipNorm === undefined ? undefined : scaleOf(lowering, clipNorm)
  for (const weight of analysis.weights) {
    const group = trained.groupOf.get(weight.name) ?? 0
    const y = memory.parameter(weight)
    const state = own.optimizer(weight)
    const h = own.hyperparameters(group)
    const operands = { x0: memory.parameterGradient(weight), x1: y, before: state, p0: scale, h, state, y }
    emitter(
      lowering,
      "update",
      weight.name,
      "update",
    )(elementwiseForward, operands, updates[group] as ElementwiseForward)
  }
}
