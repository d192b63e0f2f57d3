/** Surrogate gradients: one file each, and a line in table.ts. */

import { Schema } from "effect"
import type { SurrogateExpression } from "../expressions/expression.ts"
import { assert } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"
import * as table from "./table.ts"

/** The name of a surrogate. */
export type SurrogateName = keyof typeof table

type OptionsOf<N extends SurrogateName> = (typeof table)[N]["usual"]

/** A surrogate's name and parameters. */
export type SurrogateOptions = OptionsOf<SurrogateName>

type Any = Surrogate<SurrogateOptions>

const surrogates = table as unknown as Readonly<Record<SurrogateName, Any>>

/** The names of all surrogates. */
export const surrogateNames: ReadonlyArray<SurrogateName> = Object.keys(surrogates) as ReadonlyArray<SurrogateName>

const each = <A>(of: (surrogate: Any) => A) =>
  Object.fromEntries(surrogateNames.map((name) => [name, of(surrogates[name])])) as Record<SurrogateName, A>

/** The Schema of each surrogate's options. */
export const schemas: Readonly<Record<SurrogateName, Schema.Codec<SurrogateOptions>>> = each(({ schema }) => schema)

/** Each surrogate with its default parameters, for neurons with threshold 1. */
export const defaults: { readonly [N in SurrogateName]: OptionsOf<N> } = each(({ usual }) => usual) as never

/** The Schema of {@link SurrogateOptions}. */
export const SurrogateSchema: Schema.Codec<SurrogateOptions> = Schema.Union(Object.values(schemas)).annotate({
  expected: "a surrogate with its parameter, as in Surrogate.defaults",
})

/**
 * The slope g and primitive G of a surrogate, as functions of the expression z.
 *
 * @throws OptionError for invalid parameters
 */
export const expressionOf = (options: SurrogateOptions): SurrogateExpression => {
  assert("Surrogate.expressionOf", SurrogateSchema, options)
  return checkedExpressionOf(options)
}

/** {@link expressionOf} without the check of its options. */
export const checkedExpressionOf = (options: SurrogateOptions): SurrogateExpression =>
  surrogates[options.name].expression(options)
