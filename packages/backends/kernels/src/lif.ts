/**
 * Fast paths: expressions for which C has a dedicated kernel that computes the same bits in one pass over memory. Expressions are recognised
 * by their code, whatever created it: leaky integrate-and-fire neurons with any reset, and their gradient with the triangle surrogate.
 */
import { Expressions, type KernelAttributes, Neuron, type Program, Shape } from "@spikeroute/core"

type Forward = KernelAttributes["elementwise.forward"]
type Backward = KernelAttributes["elementwise.backward"]
type Code = Expressions.Code

/** For kernels in c/kernels.def that are not core kernels: their operands, and the operands of the core kernel that they replace. */
export const fastPaths: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "lif.forward": { x: "x0", before: "before", decay: "p0", membrane: "state", spikes: "y" },
  "lif.backward": { membrane: "state", outputGradient: "dy", carry: "carry", decay: "p0", inputGradient: "dx0" },
}

/** A fast path's kernel and its attributes; real numbers are marked as float. */
export interface FastPath {
  readonly kernel: string
  readonly attributes: ReadonlyArray<number | { readonly float: number }>
}

const resets = ["soft", "hard", "none"] as const

/** Constants of a leaky neuron; a learnt decay is the parameter p0. */
export interface Leaky {
  readonly reset: (typeof resets)[number]
  readonly decay: number | "p0"
  readonly threshold: number
}

/** Constants of its gradient: the triangle g(z) = max(0, height − slope·|z|), and the edges that carry gradient besides the output. */
export interface LeakyGradient extends Leaky {
  readonly height: number
  readonly slope: number
  readonly edges: "none" | "membrane" | "membrane and reset"
}

const { leaf, encode } = Expressions
const one = /* @__PURE__ */ Neuron.constant(1)
const decayOf = ({ decay }: Leaky) => (decay === "p0" ? leaf("p0") : decay)

/** u = λ·reset(u₋₁) + x,  s = [u ≥ ϑ]; u is the state. */
export const leakyForward = (neuron: Leaky): Forward => {
  const { reset, threshold } = neuron
  const before = leaf("before.0")
  const fired = before.atLeast(threshold)
  const v =
    reset === "soft" ? before.minus(fired.times(threshold)) : reset === "hard" ? before.times(one.minus(fired)) : before
  const u = v.times(decayOf(neuron)).plus(leaf("x0"))
  const { code, places } = encode([u, u.atLeast(threshold)])
  return { code, state: places.slice(0, 1), y: places[1] as number }
}

/** ∂u = ∂v·∂v/∂u + (∂s + ∂v·∂v/∂s)·g(u − ϑ),  ∂x = ∂u,  ∂v₋₁ = λ·∂u */
export const leakyBackward = (neuron: LeakyGradient): Backward => {
  const { reset, threshold, height, slope, edges } = neuron
  const [u, dy, carry] = [leaf("state.0"), leaf("dy"), leaf("carry.0")]
  const g = Neuron.maximum(Neuron.constant(height).minus(Neuron.absolute(u.minus(threshold)).times(slope)), 0)
  const gradients = (...roots: ReadonlyArray<Neuron.Expression>): Backward => {
    const { code, places } = encode(roots)
    return { code, carry: places.slice(0, -1), dx: places.slice(-1), dp: [] }
  }
  if (edges === "none") return gradients(dy.times(g))
  const bySpike = reset === "soft" ? carry.negated().times(threshold) : carry.times(u).negated()
  const arrived = edges === "membrane" || reset === "none" ? dy : dy.plus(bySpike)
  const du = (reset === "hard" ? carry.times(one.minus(u.atLeast(threshold))) : carry).plus(arrived.times(g))
  return gradients(du.times(decayOf(neuron)), du)
}

const constantAt = (code: Code, place: number | undefined): number | undefined => {
  const line = code[place ?? -1]
  return line?.[0] === "constant" ? line[1] : undefined
}

/** The decay in a product, a constant or p0; 1 if the line is not such a product. */
const factorAt = (code: Code, place: number | undefined): number | "p0" => {
  const line = code[place ?? -1]
  if (line?.[0] !== "multiply") return 1
  const factor = code[line[2]]
  return factor?.[0] === "leaf" && factor[1] === "p0" ? "p0" : (constantAt(code, line[2]) ?? 1)
}

const find = <O extends Code[number][0]>(code: Code, op: O) =>
  code.find((line): line is Extract<Code[number], readonly [O, ...ReadonlyArray<unknown>]> => line[0] === op)

const same = (a: object, b: object): boolean => JSON.stringify(a) === JSON.stringify(b)

const forwardOf = ({ code, state, y }: Forward): FastPath | undefined => {
  const [, , threshold] = (code[y] ?? []) as ReadonlyArray<number | string>
  const charge = code[state[0] ?? -1]
  const found = {
    decay: factorAt(code, charge?.[1] as number | undefined),
    threshold: constantAt(code, threshold as number) ?? Number.NaN,
  }
  if (Number.isNaN(found.threshold)) return undefined
  const reset = resets.find((reset) => same(leakyForward({ ...found, reset }), { code, state, y }))
  return reset && { kernel: "lif.forward", attributes: words({ ...found, reset }) }
}

const backwardOf = ({ code, carry, dx, dp, pool }: Backward): FastPath | undefined => {
  const [, rise = -1] = find(code, "maximum") ?? []
  const [, height = -1, fall = -1] = (code[rise] ?? []) as ReadonlyArray<number | string>
  const above = code[(find(code, "absolute") ?? [])[1] ?? -1]
  const found = {
    decay: carry.length > 0 ? factorAt(code, carry[0]) : 1,
    threshold: constantAt(code, above?.[2] as number | undefined) ?? Number.NaN,
    height: constantAt(code, height as number) ?? Number.NaN,
    slope: factorAt(code, fall as number) as number,
  }
  if ([found.threshold, found.height, found.slope].some((number) => !Number.isFinite(number))) return undefined
  for (const edges of carry.length > 0 ? (["membrane", "membrane and reset"] as const) : (["none"] as const))
    for (const reset of resets)
      if (same(leakyBackward({ ...found, reset, edges }), { code, carry, dx, dp: dp.filter((place) => place >= 0) }))
        return {
          kernel: "lif.backward",
          attributes: [
            ...words({ ...found, reset }),
            ...[{ float: found.height }, { float: found.slope }, edges === "membrane and reset" ? 1 : 0],
            pool?.kernelSize ?? 0,
          ],
        }
  return undefined
}

const words = ({ reset, decay, threshold }: Leaky): FastPath["attributes"] => [
  resets.indexOf(reset),
  { float: decay === "p0" ? 0 : decay },
  { float: threshold },
]

/** The fast path of an instruction, if there is one. It supports a learnt decay only if that is a single number. */
export const fastPathOf = (
  { kernel, operands, attributes }: Program.Instruction,
  buffers: Program.Program["buffers"],
): FastPath | undefined => {
  const bufferOf = (name: string) => buffers[operands[name]?.buffer ?? -1]
  if (Shape.size(bufferOf("p0")?.shape ?? []) !== 1) return undefined
  if (kernel === "elementwise.forward" && operands.state && bufferOf("y")?.elements === "spikes")
    return forwardOf(attributes as unknown as Forward)
  return kernel === "elementwise.backward" && operands.dy ? backwardOf(attributes as unknown as Backward) : undefined
}
