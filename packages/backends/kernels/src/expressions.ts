/** Expressions as the 32-bit words that c/expression.h describes. */
import type { Expressions } from "@spikeroute/core"

type Code = Expressions.Code

/** What a step does, by its number. */
const kinds: ReadonlyArray<string> = [
  "constant",
  "leaf",
  "number",
  ...["negate", "absolute", "exp", "log", "sqrt", "tanh", "sigmoid", "atan"],
  ...["add", "subtract", "multiply", "divide", "minimum", "maximum", "atLeast", "greater"],
  "select",
]

/** Where a result goes: a plane of an operand by number, or all of it. */
export interface Store {
  readonly operand: number
  readonly plane: number
  readonly place: number
}

interface Step {
  readonly kind: number
  readonly arguments: ReadonlyArray<number>
  /** Places in the code of the results that it reads. */
  readonly reads: ReadonlyArray<number>
  readonly place: number
}

/** The bits of a float32 number. */
const bitsOf = (value: number): number => new Int32Array(Float32Array.of(value).buffer)[0] as number

/**
 * Packs a code. A register is free again after the last step that reads it, but for constants', which are computed once for many strips.
 *
 * @param operands names of the kernel's operands, in order
 */
export const packExpression = (
  code: Code,
  stores: ReadonlyArray<Store>,
  operands: ReadonlyArray<string>,
): ReadonlyArray<number> => {
  const steps = code.map((line, place): Step => {
    if (line[0] === "constant") return { kind: 0, arguments: [bitsOf(line[1])], reads: [], place }
    if (line[0] === "leaf") {
      const [name = "", plane] = line[1].split(".")
      const at = plane === undefined ? -1 : Number(plane)
      return {
        kind: kinds.indexOf(name === "h" ? "number" : "leaf"),
        arguments: [operands.indexOf(name), at],
        reads: [],
        place,
      }
    }
    return { kind: kinds.indexOf(line[0]), arguments: [], reads: line.slice(1) as ReadonlyArray<number>, place }
  })
  const ordered = [...steps.filter(({ kind }) => kind === 0), ...steps.filter(({ kind }) => kind !== 0)]
  const constants = ordered.findIndex(({ kind }) => kind !== 0)
  const lastUse = new Map<number, number>()
  ordered.forEach(({ reads, place }, i) => {
    lastUse.set(place, i)
    for (const read of reads) lastUse.set(read, i)
  })
  for (const { place } of stores) lastUse.set(place, Number.POSITIVE_INFINITY)
  for (const { kind, place } of ordered) if (kind === 0) lastUse.set(place, Number.POSITIVE_INFINITY)

  const registerOf = new Map<number, number>()
  const free: Array<number> = []
  let registers = 0
  const words = ordered.flatMap(({ kind, arguments: own, reads, place }, i) => {
    const from = reads.map((read) => registerOf.get(read) as number)
    for (const read of new Set(reads)) if (lastUse.get(read) === i) free.push(registerOf.get(read) as number)
    const to = free.pop() ?? registers++
    registerOf.set(place, to)
    if (lastUse.get(place) === i) free.push(to)
    const [a = 0, b = 0, c = 0] = [...own, ...from]
    return [kind, to, a, b, c]
  })
  return [
    Math.max(1, registers),
    constants < 0 ? ordered.length : constants,
    ordered.length,
    stores.length,
    ...words,
    ...stores.flatMap(({ operand, plane, place }) => [operand, plane, registerOf.get(place) as number]),
  ]
}
