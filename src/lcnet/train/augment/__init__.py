"""What happens to pictures while training: crops, RandAugment, random erasing, mixup and cutmix.

Every random choice comes from a `random.Random` that the caller gives: no global generator is read or moved. Only
`erasing` and `mixing`, which work on batches, need torch.
"""
