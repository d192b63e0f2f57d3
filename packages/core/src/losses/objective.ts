/** Losses as programs know them: without the terms themselves, which come with a loss that has any. */
import { Schema } from "effect"
import { must } from "../options.ts"
import type { LossTerm, Objective } from "./index.ts"

/** The terms of an objective; none where it is the loss of one class a sample. */
export const termsOf = (objective: Objective | undefined): ReadonlyArray<LossTerm> =>
  Array.isArray(objective) ? (objective as ReadonlyArray<LossTerm>) : []

/** A list of terms; each is checked by its kind. */
export const TermsSchema: Schema.Codec<ReadonlyArray<LossTerm>> = Schema.Array(Schema.Unknown).check(
  must(
    "a list of terms, at least one, as crossEntropy() makes them",
    (terms: ReadonlyArray<unknown>) =>
      terms.length > 0 &&
      terms.every((each) => typeof (each as Partial<LossTerm> | null)?.kind?.forward === "function"),
  ),
) as unknown as Schema.Codec<ReadonlyArray<LossTerm>>
