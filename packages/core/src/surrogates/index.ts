/** Surrogate gradients, each a file, and a line in table.ts. */

import { Schema } from "effect"
import type { SurrogateExpression } from "../expressions/expression.ts"
import { assert } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"
import * as table from "./table.ts"

export type SurrogateName = keyof typeof table

type OptionsOf<N extends SurrogateName> = (typeof table)[N]["usual"]

/** A surrogate and its parameters, as data. */
export type SurrogateOptions = OptionsOf<SurrogateName>

type Any = Surrogate<SurrogateOptions>

const surrogates = table as unknown as Readonly<Record<SurrogateName, Any>>

export const surrogateNames: ReadonlyArray<SurrogateName> = Object.keys(surrogates) as ReadonlyArray<SurrogateName>

const each = <A>(of: (surrogate: Any) => A) =>
  Object.fromEntries(surrogateNames.map((name) => [name, of(surrogates[name])])) as Record<SurrogateName, A>

/** The Schema of each surrogate's options. */
export const schemas: Readonly<Record<SurrogateName, Schema.Codec<SurrogateOptions>>> = each(({ schema }) => schema)

/** Each surrogate with its usual parameters, for neurons of threshold 1. */
export const defaults: { readonly [N in SurrogateName]: OptionsOf<N> } = each(({ usual }) => usual) as never

export const SurrogateSchema: Schema.Codec<SurrogateOptions> = Schema.Union(Object.values(schemas)).annotate({
  expected: "a surrogate with its parameter, as Surrogate.defaults has them",
})

/** A surrogate as expressions of z. @throws OptionError */
export const expressionOf = (options: SurrogateOptions): SurrogateExpression => {
  assert("Surrogate.expressionOf", SurrogateSchema, options)
  return checkedExpressionOf(options)
}

/** The same, of options that have been checked. */
export const checkedExpressionOf = (options: SurrogateOptions): SurrogateExpression =>
  surrogates[options.name].expression(options)
