/** `gate`: what has to hold before a change is merged. Nothing depends on how fast or busy the machine is. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { print } from "@spikeroute/cli/terminal"
import { Data, Effect, FileSystem, Schema } from "effect"
import { differences, growingWithTime, plans, unplanned } from "../gate/plans.ts"
import { ratios } from "../gate/ratios.ts"
import { layer } from "../method/recorder.ts"

const Kept = Schema.Struct({
  /** Renewed by `--renew`. */
  plans: Schema.Record(
    Schema.String,
    Schema.Struct({
      bytes: Schema.Int,
      forwardMultiplications: Schema.Int,
      backwardMultiplications: Schema.Int,
    }),
  ),
  /** Set by hand, well below what is measured: see gate/ratios.ts. */
  floors: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Finite)),
})

const file = fileURLToPath(new URL("../../gate.json", import.meta.url))

/** What was kept. */
export const readKept = () => Schema.decodeUnknownSync(Schema.fromJsonString(Kept))(readFileSync(file, "utf8"))

export class GateError extends Data.TaggedError("GateError")<{ readonly wrong: ReadonlyArray<string> }> {
  override get message(): string {
    const { wrong } = this
    return `the gate is closed: ${wrong.join("; ")}. If a plan was meant to change: bun run bench gate --renew`
  }
}

const repository = fileURLToPath(new URL("../../../../", import.meta.url))

/** What the packages' own test of bundle sizes says; nothing where the repository has none. */
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
      return yield* print(`apps/bench/gate.json holds the plans of ${Object.keys(now).length} iterations`)
    }
    const check = (title: string, wrong: ReadonlyArray<string>) =>
      Effect.as(
        print(`${wrong.length === 0 ? "✓" : "✗"} ${title}${wrong.map((line) => `\n    ${line}`).join("")}`),
        wrong,
      )
    const sizes = yield* Effect.promise(sizeFailures)
    const wrong = [
      ...(yield* check("planned memory and multiplications are those that were kept", differences(kept.plans, now))),
      ...(yield* check("under SLTT memory does not depend on T", yield* growingWithTime)),
      ...(yield* check("no more multiplications run than were planned", yield* unplanned)),
      ...(sizes === undefined ? [] : yield* check("bundles are as small as they are held to", sizes)),
    ]
    const { said, wrong: slow } = yield* ratios(kept.floors)
    yield* check(["ratios are above their floors", ...said].join("\n    "), slow)
    wrong.push(...slow)
    if (wrong.length > 0) return yield* new GateError({ wrong })
  }).pipe(Effect.provide(layer(undefined)))
