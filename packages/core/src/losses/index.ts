/**
 * Losses: today's of one class a sample, or a sum of terms.
 *
 * @example
 * const loss = [Losses.crossEntropy(), Losses.firingRate({ rate: 0.1 })]
 */
import { Schema } from "effect"
import type { Loss } from "../loss.ts"
import { must } from "../options.ts"
import { type CrossEntropy, crossEntropyTerm } from "./cross-entropy.ts"
import { type FiringRate, firingRateTerm } from "./firing-rate.ts"
import { type Own, ownTerm } from "./own.ts"
import type { Term } from "./term.ts"

export { type CrossEntropy, crossEntropy } from "./cross-entropy.ts"
export { type FiringRate, firingRate } from "./firing-rate.ts"
export { meanSquaredError } from "./mean-squared-error.ts"
export { type Own, own } from "./own.ts"
export type { Over } from "./term.ts"

/** A term of a loss, as its constructor makes it. */
export type LossTerm = CrossEntropy | FiringRate | Own

/** What is minimised: the loss of one class a sample at every step, or the sum of terms. */
export type Objective = Loss | ReadonlyArray<LossTerm>

/** Each kind of term. */
const kinds: { readonly [N in LossTerm["term"]]: Term<Extract<LossTerm, { readonly term: N }>> } = {
  crossEntropy: crossEntropyTerm,
  firingRate: firingRateTerm,
  own: ownTerm,
}

/** A kind of term whose attributes are not known to the type system. */
// biome-ignore lint/suspicious/noExplicitAny: attributes differ from term to term
export const kindOf = ({ term }: Pick<LossTerm, "term">): Term<any> => kinds[term]

/** The terms of an objective; none where it is the loss of one class a sample. */
export const termsOf = (objective: Objective | undefined): ReadonlyArray<LossTerm> =>
  Array.isArray(objective) ? (objective as ReadonlyArray<LossTerm>) : []

/** A list of terms; each is checked by its kind. */
export const TermsSchema: Schema.Codec<ReadonlyArray<LossTerm>> = Schema.Array(Schema.Unknown).check(
  must(
    "a list of terms, at least one, as crossEntropy() makes them",
    (terms: ReadonlyArray<unknown>) =>
      terms.length > 0 && terms.every((each) => Object.hasOwn(kinds, (each as Partial<LossTerm> | null)?.term ?? "")),
  ),
) as unknown as Schema.Codec<ReadonlyArray<LossTerm>>
