/** `verify`: compares a backend with golden files: float64 gradients from PyTorch, and outputs of NIR networks from other frameworks. */
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Data, Effect, FileSystem, Path } from "effect"
import { backendLayer, defaultBackend } from "../backends.ts"
import { fromFlags } from "../config.ts"
import { UsageError } from "../errors.ts"
import { readBytes, refused } from "../files.ts"
import { verifyNir } from "../nir.ts"
import { bold, print, table } from "../terminal.ts"

export interface VerifyFlags {
  readonly directory: string
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** A backend does not match some golden files. */
export class VerificationFailed extends Data.TaggedError("VerificationFailed")<{
  readonly backend: string
  readonly files: ReadonlyArray<string>
}> {
  override get message(): string {
    return `backend ${this.backend} fails ${this.files.length} golden files: ${this.files.join(", ")}`
  }
}

/** The errors shown in the table; errors that do not apply to a kind of file are absent. */
interface Outcome {
  readonly out: number
  readonly gradients?: number
  readonly statistics?: number
  readonly spikesMismatched: number
  readonly passed: boolean
  /** The reason why the network of the file cannot be run. */
  readonly refused?: string
}

const verifyGolden = (file: string) =>
  Effect.gen(function* () {
    const tensors = yield* Safetensors.decode(yield* readBytes(file), file)
    const errors = yield* Effect.scoped(Golden.verify(tensors, file))
    return { ...errors, passed: Golden.passes(errors) } satisfies Outcome
  })

/** A golden file is a `.safetensors` file, or a `.nir` file with a `.npz` file beside it. */
const goldens = (names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names
    .filter(
      (name) => /\.safetensors$/.test(name) || (/\.nir$/.test(name) && names.includes(name.replace(/nir$/, "npz"))),
    )
    .sort()

export const verify = ({ directory, json, settings }: VerifyFlags) =>
  Effect.gen(function* () {
    const { backend = yield* defaultBackend } = yield* fromFlags(settings)
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const found = yield* fs.readDirectory(directory).pipe(Effect.mapError(refused(directory, "read")))
    const inside = yield* Effect.forEach(found, (name) =>
      fs.readDirectory(path.join(directory, name)).pipe(
        Effect.map((names) => names.map((each) => path.join(name, each)).filter((each) => /\.(nir|npz)$/.test(each))),
        Effect.orElseSucceed((): ReadonlyArray<string> => []),
      ),
    )
    const names = goldens([...found, ...inside.flat()])
    if (names.length === 0)
      return yield* new UsageError({
        reason: `${directory} contains no golden file (.safetensors, or .nir with .npz of the same name)`,
      })

    const files = yield* Effect.forEach(names, (name) => {
      const file = path.join(directory, name)
      const outcome: Effect.Effect<
        Outcome,
        Effect.Error<ReturnType<typeof verifyGolden | typeof verifyNir>>,
        Effect.Services<ReturnType<typeof verifyGolden | typeof verifyNir>>
      > = name.endsWith(".nir") ? verifyNir(file) : verifyGolden(file)
      return Effect.map(outcome, (each) => ({ file: name, ...each }))
    }).pipe(Effect.provide(backendLayer(backend)))

    const failed = files.filter(({ passed }) => !passed).map(({ file }) => file)
    if (json) yield* print(JSON.stringify({ backend, passed: failed.length === 0, files }, undefined, 2))
    else {
      const error = (value: number | undefined) => value?.toExponential(1) ?? "–"
      yield* print(
        table(
          ["file", "out", "gradients", "statistics", "spikes mismatched", ""],
          files.map(({ file, out, gradients, statistics, spikesMismatched, passed, refused }) =>
            refused === undefined
              ? [
                  file,
                  error(out),
                  error(gradients),
                  error(statistics),
                  String(spikesMismatched),
                  passed ? "ok" : "FAILS",
                ]
              : [file, "–", "–", "–", "–", refused],
          ),
        ),
      )
      if (failed.length === 0) yield* print(bold(`backend ${backend} meets all ${files.length} golden files`))
    }
    if (failed.length > 0) return yield* new VerificationFailed({ backend, files: failed })
  })
