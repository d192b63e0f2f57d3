import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { Safetensors } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { onSoftware, shared, withoutGpu } from "./device.ts"

// The models' golden files, and any beside the repository; on software adapters only the smaller ones.
const folders = onSoftware
  ? ["../../../../../shared/golden/data/"]
  : ["../../../core/test/golden/", "../../../../../shared/golden/data/"]
const files = [
  ...folders
    .map((path) => new URL(path, import.meta.url))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => ({ name, url: new URL(name, folder) }))),
  { name: "vgg11-sltt.safetensors", url: new URL("../../../core/test/golden/vgg11-sltt.safetensors", import.meta.url) },
].filter(({ name }, i, all) => name.endsWith(".safetensors") && all.findIndex((other) => other.name === name) === i)

describe.skipIf(withoutGpu !== undefined)(`webgpu computes PyTorch's gradients ${withoutGpu ?? ""}`, () => {
  const { layer } = shared()
  for (const { name: file, url } of files)
    test(file, async () => {
      const errors = await Effect.runPromise(
        Safetensors.decode(readFileSync(url), file).pipe(
          Effect.flatMap((golden) => Golden.verify(golden, file)),
          Effect.scoped,
          Effect.provide(layer),
        ),
      )
      expect({ errors, passes: Golden.passes(errors) }).toEqual({ errors, passes: true })
    }, 120_000)
})
