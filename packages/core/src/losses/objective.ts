/** Losses as programs see them. The modules of the terms are loaded only with a loss that uses them. */
import { Schema } from "effect"
import { must } from "../options.ts"
import type { LossTerm, Objective } from "./index.ts"
import { kindOf, type Targets } from "./term.ts"

/** The terms of an objective; none where it is the loss of one class a sample. */
export const termsOf = (objective: Objective | undefined): ReadonlyArray<LossTerm> =>
  Array.isArray(objective) ? (objective as ReadonlyArray<LossTerm>) : []

/** A list of terms; each is checked by its kind. */
export const TermsSchema: Schema.Codec<ReadonlyArray<LossTerm>> = /* @__PURE__ */ Schema.Array(Schema.Unknown).check(
  must(
    "a list of terms, at least one, as crossEntropy() makes them",
    (terms: ReadonlyArray<unknown>) =>
      terms.length > 0 &&
      terms.every((each) => typeof (each as Partial<LossTerm> | null)?.kind?.forward === "function"),
  ),
) as unknown as Schema.Codec<ReadonlyArray<LossTerm>>

/** What is told of one value: by the name of an output or node, the first output without one. */
export interface Asked {
  readonly owner: string | undefined
  /** The terms that take it, with their numbers. */
  readonly terms: ReadonlyArray<readonly [LossTerm, number]>
  /** Whether any, and whether all of them take one for each step. */
  readonly anyBySteps: boolean
  readonly allBySteps: boolean
}

/** The name under which targets of a value are known: an output's own, though its node was named. */
export const ownerOf = (outputs: Readonly<Record<string, string>>, named: string | true | undefined) => {
  const found = Object.entries(outputs).findIndex(([name, node]) => name === named || node === named)
  if (named === undefined || named === true || found === 0) return undefined
  return Object.keys(outputs)[found] ?? named
}

/** The classes or numbers that a loss's terms take, by value. */
export const askedBy = (
  objective: Objective | undefined,
  outputs: Readonly<Record<string, string>>,
  targets: Targets,
): ReadonlyArray<Asked> => {
  const found = new Map<string | undefined, Array<readonly [LossTerm, number]>>()
  for (const [number, term] of termsOf(objective).entries()) {
    const kind = kindOf(term)
    if (kind.targets(term) !== targets) continue
    const owner = ownerOf(outputs, kind.at(term))
    found.set(owner, [...(found.get(owner) ?? []), [term, number]])
  }
  return [...found].map(([owner, terms]) => {
    const bySteps = terms.map(([term]) => kindOf(term).over(term) === "step")
    return { owner, terms, anyBySteps: bySteps.includes(true), allBySteps: !bySteps.includes(false) }
  })
}
