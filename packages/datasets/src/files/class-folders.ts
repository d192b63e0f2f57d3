/**
 * Class folders: `train/<class>/*` and `test/<class>/*` (or `val`), or only `<class>/*`, from which a random fraction becomes the test
 * split. The classes are the folders, sorted by name.
 */
import * as Key from "@spikeroute/core/random"
import { Effect, Path } from "effect"
import { MissingFile } from "../errors.ts"
import type { OpenOptions } from "../sets/options.ts"
import { isFolder, listMatching, searched } from "./locate.ts"

/** Files with their classes. */
export interface Labelled {
  readonly files: ReadonlyArray<string>
  readonly labels: ReadonlyArray<number>
}

const usualShare = 0.2

/**
 * Draws a random split of `count` samples from the seed. Returns the indices of the training and test samples, each in ascending order.
 * `split` is the fraction of test samples; each part has at least one sample.
 */
export const drawSplit = (count: number, { split = usualShare, seed = 0 }: Pick<OpenOptions, "split" | "seed">) => {
  const order = Key.permutation(Key.fold(Key.make(seed), "split"), count)
  const tested = Math.min(Math.max(1, count - 1), Math.max(1, Math.round(count * split)))
  return { train: order.slice(tested).sort(), test: order.slice(0, tested).sort() }
}

/** The folders in a directory, sorted by name, without hidden ones. */
export const foldersOf = Effect.fnUntraced(function* (directory: string) {
  const entries = yield* listMatching(directory, /^[^.]/)
  return yield* Effect.filter(entries, isFolder, { concurrency: 8 })
})

/** Finds the samples of a data set in class folders. `endings` lists the accepted file name extensions, for error messages. */
export const classFolders = Effect.fnUntraced(function* (
  dataset: string,
  options: OpenOptions,
  pattern: RegExp,
  endings: string,
) {
  const path = yield* Path.Path
  const directories = yield* searched(dataset, options)
  const wanted = [`<class>/*${endings}`, `train/<class>/*${endings}`]
  const advice = "name the directory that holds the folders of the classes as --data-dir"
  const missing = (files: ReadonlyArray<string>, where: ReadonlyArray<string>) =>
    new MissingFile({ dataset, wanted: files, searched: where, advice })

  const labelled = Effect.fnUntraced(function* (root: string, classNames: ReadonlyArray<string>) {
    const found = yield* Effect.forEach(classNames, (name, label) =>
      Effect.map(listMatching(path.join(root, name), pattern), (files) => files.map((file) => ({ file, label }))),
    )
    const all = found.flat()
    return { files: all.map(({ file }) => file), labels: all.map(({ label }) => label) } satisfies Labelled
  })
  const namesIn = (root: string) => Effect.map(foldersOf(root), (folders) => folders.map((each) => path.basename(each)))

  for (const directory of directories) {
    const folders = yield* namesIn(directory)
    const [train, test] = [/^train$/i, /^(test|val)$/i].map((name) => folders.find((each) => name.test(each)))
    if (train !== undefined && test !== undefined) {
      const classNames = yield* namesIn(path.join(directory, train))
      const other = (yield* namesIn(path.join(directory, test))).find((each) => !classNames.includes(each))
      if (other !== undefined) return yield* missing([`${train}/${other}, as there is ${test}/${other}`], [directory])
      const split = {
        train: yield* labelled(path.join(directory, train), classNames),
        test: yield* labelled(path.join(directory, test), classNames),
      }
      for (const [part, { files }] of Object.entries(split))
        if (files.length === 0) return yield* missing([`${part}/<class>/*${endings}`], [directory])
      return { classNames, ...split }
    }
    const classNames: Array<string> = []
    for (const each of folders)
      if ((yield* listMatching(path.join(directory, each), pattern)).length > 0) classNames.push(each)
    const { files, labels } = yield* labelled(directory, classNames)
    if (files.length < 2) continue
    const pick = (own: Uint32Array): Labelled => ({
      files: Array.from(own, (i) => files[i] as string),
      labels: Array.from(own, (i) => labels[i] as number),
    })
    const { train: trained, test: tested } = drawSplit(files.length, options)
    return { classNames, train: pick(trained), test: pick(tested) }
  }
  return yield* missing(wanted, directories)
})
