// The two sources of what no offset leads to (clr_priv.h, struct lg_sources): for sources.c, which
// chooses.
//
// Of the DAC's: only for types, modules and threads, each once. Never for objects.
#ifndef LG_CLR_SOURCES_H
#define LG_CLR_SOURCES_H

#include "clr/types_priv.h"

struct lg_error *lg_contracts_well_known(struct lg_clr *clr);
struct lg_error *lg_contracts_threads(struct lg_clr *clr);
void lg_contracts_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret);
struct lg_error *lg_contracts_modules(struct lg_clr *clr, lg_add_module *add);
bool lg_contracts_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret);
uint64_t lg_contracts_module_type(struct lg_clr *clr, uint64_t module, uint32_t token);
bool lg_contracts_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
bool lg_contracts_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
bool lg_contracts_may_have_statics(const struct lg_mt *m);
bool lg_contracts_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret);
bool lg_contracts_static_bases(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                               struct lg_static_bases *ret);

struct lg_error *lg_told_well_known(struct lg_clr *clr);
struct lg_error *lg_told_threads(struct lg_clr *clr);
void lg_told_thread_counts(struct lg_clr *clr, struct lg_thread_counts *ret);
struct lg_error *lg_told_modules(struct lg_clr *clr, lg_add_module *add);
bool lg_told_module(struct lg_clr *clr, uint64_t module, struct lg_module_facts *ret);
uint64_t lg_told_module_type(struct lg_clr *clr, uint64_t module, uint32_t token);
bool lg_told_module_types(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
bool lg_told_may_have_statics(const struct lg_mt *m);
bool lg_told_class(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m, struct lg_class *ret);
bool lg_told_static_bases(struct lg_clr *clr, uint64_t mt, const struct lg_mt *m,
                          struct lg_static_bases *ret);
uint64_t lg_told_thread_base(struct lg_clr *clr, uint64_t mt, const struct lg_managed_thread *thread);

// measured.c: what is found by what it looks like.
bool lg_measured_instantiations(struct lg_clr *clr, uint64_t module, lg_each_type each, void *data);
bool lg_measured_metadata(struct lg_clr *clr, uint64_t module, uint64_t *ret, uint64_t *size_ret);
void lg_thread_data_measure(struct lg_clr *clr);

// Threads whose statics are unknown, as no place for them was found.
size_t lg_thread_data_missing(const struct lg_clr *clr);

// For methods.c and code.c, likewise.
const char *lg_told_method_name(struct lg_clr *clr, uint64_t method); // NULL: not told
uint64_t lg_told_method_from_code(struct lg_clr *clr, uint64_t code);

// For load_contexts.c, where the descriptor has nothing. False, and nothing: they do not tell.
bool lg_told_load_context(struct lg_clr *clr, uint64_t module, uint64_t *ret);
void lg_told_domain(struct lg_clr *clr, struct lg_domain *ret);
struct lg_error *lg_told_gc(struct lg_clr *clr);
struct lg_error *lg_told_finalizers(struct lg_clr *clr);

#endif
