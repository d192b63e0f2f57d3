/** CIFAR-100: 60,000 colour images of 32 × 32 in 100 classes (Krizhevsky, 2009), with the fine labels. */
import { cifarSource } from "./cifar.ts"

const classNames = (
  "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle " +
  "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant " +
  "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man " +
  "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree " +
  "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper " +
  "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train " +
  "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
).split(" ")

export const cifar100 = cifarSource({
  name: "cifar100",
  description: "objects and animals in 100 classes, 32×32 in colour, 50,000 + 10,000",
  classNames,
  labelBytes: 2,
  folder: "cifar-100-binary",
  stems: { train: "train", test: "test" },
  archive: {
    names: ["cifar-100-binary.tar.gz"],
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    checksum: { algorithm: "md5", hex: "03b5dce01913d631647c71ecec9e9cb8" },
  },
  mean: [0.5071, 0.4867, 0.4408],
  std: [0.2675, 0.2565, 0.2761],
})
