import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { configurations } from "./configurations.ts"

// The models' golden files, and any beside the repository.
const files = ["../../../core/test/golden/", "../../../../../shared/golden/data/", "../../../../../shared/golden/time/"]
  .map((path) => new URL(path, import.meta.url))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => ({ name, url: new URL(name, folder) })))
  .filter(({ name }) => Golden.isReadable(name))

for (const { name, run } of configurations())
  describe(`${name} computes PyTorch's gradients`, () => {
    for (const { name: file, url } of files)
      test(file, async () => {
        const errors = await run(
          Safetensors.decode(readFileSync(url), file).pipe(
            Effect.flatMap((golden) => Golden.verify(golden, file)),
            Effect.scoped,
          ),
        )
        expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
      }, 30_000)
  })
