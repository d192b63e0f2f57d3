/** Custom data sets: modules that export a data set, or a function that returns one. */
import { Options, quote } from "@spikeroute/core"
import {
  type Dataset,
  MalformedFile,
  type OpenOptions,
  type Sample,
  type Split,
  type Targets,
} from "@spikeroute/datasets"
import { Effect, type FileSystem, type Path, Schema, type Scope } from "effect"
import { UsageError } from "./errors.ts"
import { defaultExport, messageOf } from "./modules.ts"

const wanted = "a data set, or a function that gives one"

const Callable = Schema.Unknown.check(Options.must("a function", (value) => typeof value === "function"))
const SplitSchema = Schema.Struct({
  ...{ size: Options.whole(1), label: Callable, write: Callable },
  writeTargets: Schema.optionalKey(Callable),
})
const kinds = ["class", "classPerStep", "numbers", "numbersPerStep"] as const satisfies ReadonlyArray<Targets>
const DatasetSchema = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  shape: Schema.NonEmptyArray(Options.whole(1)),
  classes: Options.whole(1),
  targets: Schema.optionalKey(Options.oneOf(kinds)),
  classNames: Schema.optionalKey(Schema.Array(Schema.String)),
  encoding: Options.oneOf(["static", "frames"]),
  train: SplitSchema,
  test: SplitSchema,
})

/** A split as a module defines it: `write` may return a value, a promise or an effect. */
interface OwnSplit extends Omit<Split, "write"> {
  readonly write: (...given: Parameters<Split["write"]>) => unknown
}

/** Converts the result of user code (an effect, a promise or a value) to an effect. */
const settled = (
  run: () => unknown,
): Effect.Effect<unknown, unknown, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.flatMap(Effect.try({ try: run, catch: (error) => error }), (made) => {
    if (Effect.isEffect(made)) return made as Effect.Effect<unknown, unknown>
    return made instanceof Promise
      ? Effect.tryPromise({ try: () => made, catch: (error) => error })
      : Effect.succeed(made)
  })

/** Wraps a split: labels are read and checked up front, and errors are typed. */
const splitOf = (file: string, name: "train" | "test", split: OwnSplit, { classes, targets = "class" }: Sample) =>
  Effect.gen(function* () {
    const fail = (problem: string) => new MalformedFile({ file, problem: `${name}: ${problem}` })
    const labels = yield* Effect.try({
      try: () =>
        Int32Array.from({ length: split.size }, (_, i) => {
          if (targets !== "class") return -1
          const label = split.label(i)
          if (!(Number.isInteger(label) && label >= 0 && label < classes))
            throw fail(
              `the label of sample ${i} is ${quote(label)}; it must be a whole number from 0 to ${classes - 1}`,
            )
          return label
        }),
      catch: (error) => (error instanceof MalformedFile ? error : fail(messageOf(error))),
    })
    const write: Split["write"] = (...given) =>
      Effect.asVoid(
        Effect.mapError(
          settled(() => split.write(...given)),
          (error) => fail(messageOf(error)),
        ),
      ) as Effect.Effect<void, MalformedFile>
    if (targets !== "class" && split.writeTargets === undefined)
      return yield* fail("it has no writeTargets, which targets other than one class a sample need")
    return { ...split, label: (i: number) => labels[i] as number, write } satisfies Split
  })

/** Opens the data set of a module. A function receives the same options as the library's data sets. */
export const openOwn = (file: string, options: OpenOptions) =>
  Effect.gen(function* () {
    const exported = yield* defaultExport(file, wanted)
    const given = yield* Effect.mapError(
      settled(() => (typeof exported === "function" ? exported(options) : exported)),
      (error) => new UsageError({ reason: `${file}: ${messageOf(error)}` }),
    )
    const dataset = yield* Options.check(file, DatasetSchema as Schema.Codec<unknown>, given)
    const {
      name = file,
      train,
      test,
      ...sample
    } = dataset as Dataset & { readonly train: OwnSplit; readonly test: OwnSplit }
    return {
      ...{ name, ...sample },
      train: yield* splitOf(file, "train", train, sample),
      test: yield* splitOf(file, "test", test, sample),
    } satisfies Dataset
  })
