/** `verify`: holds a backend against golden files, gradients that PyTorch computed in float64. */
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Data, Effect, FileSystem, Path } from "effect"
import { backendLayer, defaultBackend } from "../backends.ts"
import { fromFlags } from "../config.ts"
import { UsageError } from "../errors.ts"
import { readBytes, refused } from "../files.ts"
import { bold, print, table } from "../terminal.ts"

export interface VerifyFlags {
  readonly directory: string
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Some golden file is not met. */
export class VerificationFailed extends Data.TaggedError("VerificationFailed")<{
  readonly backend: string
  readonly files: ReadonlyArray<string>
}> {
  override get message(): string {
    return `backend ${this.backend} fails ${this.files.length} golden files: ${this.files.join(", ")}`
  }
}

export const verify = ({ directory, json, settings }: VerifyFlags) =>
  Effect.gen(function* () {
    const { backend = yield* defaultBackend } = yield* fromFlags(settings)
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const found = yield* fs.readDirectory(directory).pipe(Effect.mapError(refused(directory, "read")))
    const names = found.filter((name) => name.endsWith(".safetensors")).sort()
    if (names.length === 0)
      return yield* new UsageError({ reason: `${directory} holds no golden file: their names end in .safetensors` })

    const files = yield* Effect.forEach(names, (name) =>
      Effect.gen(function* () {
        const file = path.join(directory, name)
        const tensors = yield* Safetensors.decode(yield* readBytes(file), file)
        const errors = yield* Effect.scoped(Golden.verify(tensors, file))
        return { file: name, ...errors, passed: Golden.passes(errors) }
      }),
    ).pipe(Effect.provide(backendLayer(backend)))

    const failed = files.filter(({ passed }) => !passed).map(({ file }) => file)
    if (json) yield* print(JSON.stringify({ backend, passed: failed.length === 0, files }, undefined, 2))
    else {
      const error = (value: number) => value.toExponential(1)
      yield* print(
        table(
          ["file", "out", "gradients", "statistics", "spikes mismatched", ""],
          files.map(({ file, out, gradients, statistics, spikesMismatched, passed }) => [
            file,
            error(out),
            error(gradients),
            error(statistics),
            String(spikesMismatched),
            passed ? "ok" : "FAILS",
          ]),
        ),
      )
      if (failed.length === 0) yield* print(bold(`backend ${backend} meets all ${files.length} golden files`))
    }
    if (failed.length > 0) return yield* new VerificationFailed({ backend, files: failed })
  })
