/** Queries of objectives. The modules of the terms are loaded only with a loss that uses them. */
import { Schema } from "effect"
import { must } from "../options.ts"
import type { LossTerm, Objective } from "./index.ts"
import { kindOf, type Targets } from "./term.ts"

/** The terms of an objective; empty for the loss of one class per sample. */
export const termsOf = (objective: Objective | undefined): ReadonlyArray<LossTerm> =>
  Array.isArray(objective) ? (objective as ReadonlyArray<LossTerm>) : []

/** The Schema of a list of terms. Each term is checked by its kind. */
export const TermsSchema: Schema.Codec<ReadonlyArray<LossTerm>> = /* @__PURE__ */ Schema.Array(Schema.Unknown).check(
  must(
    "a list of at least one term, such as Losses.crossEntropy()",
    (terms: ReadonlyArray<unknown>) =>
      terms.length > 0 &&
      terms.every((each) => typeof (each as Partial<LossTerm> | null)?.kind?.forward === "function"),
  ),
) as unknown as Schema.Codec<ReadonlyArray<LossTerm>>

/** The targets required for one value, by the name of an output or node; `undefined` for the first output. */
export interface Asked {
  readonly owner: string | undefined
  /** The terms that use them, with their indices. */
  readonly terms: ReadonlyArray<readonly [LossTerm, number]>
  /** Whether any, and whether all, of them take one target per step. */
  readonly anyBySteps: boolean
  readonly allBySteps: boolean
}

/** The name under which a value's targets are given: that of the output, even if the term names its node. */
export const ownerOf = (outputs: Readonly<Record<string, string>>, named: string | true | undefined) => {
  const found = Object.entries(outputs).findIndex(([name, node]) => name === named || node === named)
  if (named === undefined || named === true || found === 0) return undefined
  return Object.keys(outputs)[found] ?? named
}

/** The classes or numbers that the terms of a loss require, by value. */
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
