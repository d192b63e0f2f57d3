/** `gate`: the checks that must pass before a change is merged. None depends on the speed or load of the machine. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { print } from "@spikeroute/cli/terminal"
import { Data, Effect, FileSystem, Schema } from "effect"
import { differences, growingWithTime, plans, unplanned } from "../gate/plans.ts"
import { ratios } from "../gate/ratios.ts"
import { layer } from "../method/recorder.ts"

const Kept = Schema.Struct({
  /** Written by `--renew`. */
  plans: Schema.Record(
    Schema.String,
    Schema.Struct({
      bytes: Schema.Int,
      forwardMultiplications: Schema.Int,
      backwardMultiplications: Schema.Int,
    }),
  ),
  /** Set by hand, well below measured values: see gate/ratios.ts. */
  floors: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Finite)),
})

const file = fileURLToPath(new URL("../../gate.json", import.meta.url))

/** Reads gate.json. */
const readKept = () => Schema.decodeUnknownSync(Schema.fromJsonString(Kept))(readFileSync(file, "utf8"))

export class GateError extends Data.TaggedError("GateError")<{ readonly wrong: ReadonlyArray<string> }> {
  override get message(): string {
    const { wrong } = this
    return `the gate failed: ${wrong.join("; ")}. If a plan was meant to change: bun run bench gate --renew`
  }
}

const repository = fileURLToPath(new URL("../../../../", import.meta.url))

/** Failures of the bundle-size test; undefined if the repository has none. */
const sizeFailures = async (): Promise<ReadonlyArray<string> | undefined> => {
  const test = "test/portable/test/sizes.test.ts"
  if (!existsSync(join(repository, test))) return undefined
  const child = Bun.spawn([process.execPath, "test", test], { cwd: repository, stdout: "ignore", stderr: "pipe" })
  const [said, code] = await Promise.all([child.stderr.text(), child.exited])
  return code === 0 ? [] : said.split("\n").filter((line) => /error:|\(fail\)/.test(line))
}

export const gate = ({ renew }: { readonly renew: boolean }) =>
  Effect.gen(function* () {
    const kept = readKept()
    const now = yield* plans
    if (renew) {
      const text = `${JSON.stringify({ plans: now, floors: kept.floors }, undefined, 2)}\n`
      yield* (yield* FileSystem.FileSystem).writeFileString(file, text)
      return yield* print(`wrote the plans of ${Object.keys(now).length} iterations to apps/bench/gate.json`)
    }
    const check = (title: string, wrong: ReadonlyArray<string>) =>
      Effect.as(
        print(`${wrong.length === 0 ? "✓" : "✗"} ${title}${wrong.map((line) => `\n    ${line}`).join("")}`),
        wrong,
      )
    const sizes = yield* Effect.promise(sizeFailures)
    const wrong = [
      ...(yield* check("planned memory and multiplications match gate.json", differences(kept.plans, now))),
      ...(yield* check("memory under SLTT does not depend on T", yield* growingWithTime)),
      ...(yield* check("programs execute no more multiplications than planned", yield* unplanned)),
      ...(sizes === undefined ? [] : yield* check("bundle sizes are within their limits", sizes)),
    ]
    const { said, wrong: slow } = yield* ratios(kept.floors)
    yield* check(["ratios are above their floors", ...said].join("\n    "), slow)
    wrong.push(...slow)
    if (wrong.length > 0) return yield* new GateError({ wrong })
  }).pipe(Effect.provide(layer(undefined)))
