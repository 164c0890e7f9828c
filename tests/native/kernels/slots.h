// Which slots of a table the tests have called, so that a kernel without a test fails them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <set>

inline std::set<const void*> used_slots;

template <class Slot>
const Slot& use(const Slot& slot) {
  used_slots.insert(&slot);
  return slot;
}

// `first`: the table's first kernel, from which on there is nothing but pointers.
template <class Table, class Slot>
void all_used(const Table& table, const Slot& first, const char* isa) {
  const auto* slots = reinterpret_cast<const void* const*>(&first);
  const auto* end = reinterpret_cast<const void* const*>(&table + 1);
  for (const auto* slot = slots; slot < end; ++slot)
    if (!used_slots.count(slot)) {
      std::printf("%s: no test has called kernel %td of its table\n", isa, slot - slots);
      std::exit(1);
    }
}
