/** Encodes expressions as 32-bit words; c/expression.h describes the format. */
import type { Expressions } from "@spikeroute/core"

type Code = Expressions.Code

/** The operations, by number. */
const kinds: ReadonlyArray<string> = [
  "constant",
  "leaf",
  "number",
  ...["negate", "absolute", "exp", "log", "sqrt", "tanh", "sigmoid", "atan"],
  ...["add", "subtract", "multiply", "divide", "minimum", "maximum", "atLeast", "greater"],
  "select",
  ...["multiplyAdd", "multiplySubtract", "subtractProduct", "multiplyTwice"],
]

/** The destination of a result: a plane of an operand, by number, or the whole operand (plane −1). */
export interface Store {
  readonly operand: number
  readonly plane: number
  readonly place: number
}

interface Step {
  readonly kind: string
  readonly arguments: ReadonlyArray<number>
  /** Places in the code of the results that it reads. */
  readonly reads: ReadonlyArray<number>
  readonly place: number
}

/** The bits of a float32 number. */
const bitsOf = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0] as number

/**
 * Merges a product with the sum, difference or product that is its only reader, which saves one pass over the registers' strips. Each
 * operation still rounds separately.
 */
const merged = (steps: ReadonlyArray<Step>, isStored: (place: number) => boolean): ReadonlyArray<Step> => {
  const byPlace = new Map(steps.map((step) => [step.place, step]))
  const uses = new Map<number, number>()
  for (const read of steps.flatMap(({ reads }) => reads)) uses.set(read, (uses.get(read) ?? 0) + 1)
  const merge = (kind: string, names: readonly [first: string, second: string]) => {
    for (const step of byPlace.values()) {
      if (step.kind !== kind) continue
      const which = step.reads.findIndex((read) => {
        const { kind, place } = byPlace.get(read) as Step
        return kind === "multiply" && uses.get(place) === 1 && !isStored(place)
      })
      if (which < 0) continue
      const [product, other] = [step.reads[which] as number, step.reads[1 - which] as number]
      const { reads } = byPlace.get(product) as Step
      byPlace.set(step.place, { ...step, kind: names[which] as string, reads: [...reads, other] })
      byPlace.delete(product)
    }
  }
  merge("add", ["multiplyAdd", "multiplyAdd"])
  merge("subtract", ["multiplySubtract", "subtractProduct"])
  merge("multiply", ["multiplyTwice", "multiplyTwice"])
  return [...byPlace.values()]
}

/**
 * Encodes expression code and allocates its registers. A register is freed after the last step that reads it, except those of constants and
 * scalars, which are computed once for many strips.
 *
 * @param operands names of the kernel's operands, in order
 * @param isShared whether two operands, one read and one written, may share memory; both by number
 */
export const packExpression = (
  code: Code,
  stores: ReadonlyArray<Store>,
  operands: ReadonlyArray<string>,
  isShared: (read: number, written: number) => boolean,
): ReadonlyArray<number> => {
  const steps = code.map((line, place): Step => {
    if (line[0] === "constant") return { kind: "constant", arguments: [bitsOf(line[1])], reads: [], place }
    if (line[0] === "leaf") {
      const [name = "", plane] = line[1].split(".")
      const at = plane === undefined ? -1 : Number(plane)
      return { kind: name === "h" ? "number" : "leaf", arguments: [operands.indexOf(name), at], reads: [], place }
    }
    return { kind: line[0], arguments: [], reads: line.slice(1) as ReadonlyArray<number>, place }
  })
  const isOnce = ({ kind }: Step) => kind === "constant" || kind === "number"
  const joined = merged(steps, (place) => stores.some((store) => store.place === place))
  const ordered = [...joined.filter(isOnce), ...joined.filter((step) => !isOnce(step))]
  const lastUse = new Map<number, number>()
  ordered.forEach(({ reads, place }, i) => {
    lastUse.set(place, Math.max(i, lastUse.get(place) ?? 0))
    for (const read of reads) lastUse.set(read, i)
  })
  for (const { place } of stores) lastUse.set(place, Number.POSITIVE_INFINITY)
  for (const step of ordered) if (isOnce(step)) lastUse.set(step.place, Number.POSITIVE_INFINITY)

  const leaves = ordered.filter(({ kind }) => kind === "leaf")
  /** The store into which a step may write its result directly: only if everything read from that memory has been read before. */
  const storeOf = ({ kind, place }: Step, i: number): number => {
    const at = isOnce({ kind } as Step) || kind === "leaf" ? -1 : stores.findIndex((store) => store.place === place)
    const to = stores[at]?.operand ?? -1
    const isLater = (leaf: Step) => (lastUse.get(leaf.place) as number) > i && isShared(leaf.arguments[0] as number, to)
    return leaves.some(isLater) ? -1 : at
  }
  const registerOf = new Map<number, number>()
  const free: Array<number> = []
  let registers = 0
  const words = ordered.flatMap((step, i) => {
    const { kind, arguments: own, reads, place } = step
    const from = reads.map((read) => registerOf.get(read) as number)
    for (const read of new Set(reads)) if (lastUse.get(read) === i) free.push(registerOf.get(read) as number)
    const to = free.pop() ?? registers++
    registerOf.set(place, to)
    if (lastUse.get(place) === i) free.push(to)
    const [a = 0, b = 0, c = 0] = [...own, ...from]
    return [kinds.indexOf(kind), to, a, b, c, storeOf(step, i)]
  })
  return [
    Math.max(1, registers),
    ordered.filter(isOnce).length,
    ordered.length,
    stores.length,
    ...words,
    ...stores.flatMap(({ operand, plane, place }) => [operand, plane, registerOf.get(place) as number]),
  ]
}
