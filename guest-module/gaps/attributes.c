// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A node's attributes in sysfs: docs/sysfs-class-misc-my_rng. gaps/node.rs uses
 * them.
 */

#include <linux/device.h>
#include <linux/sysfs.h>

#include "helpers.h"

static const struct my_rng_facts *facts(struct device *dev)
{
	/* The data of a misc device is its struct miscdevice. */
	struct miscdevice *misc = dev_get_drvdata(dev);

	return &container_of(misc, struct my_rng_node, misc)->facts;
}

static ssize_t generator_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%s\n", facts(dev)->generator);
}
static DEVICE_ATTR_RO(generator);

static ssize_t bulk_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%d\n", facts(dev)->has_bulk);
}
static DEVICE_ATTR_RO(bulk);

static ssize_t words_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%llu\n", my_rng_counter_sum(facts(dev)->words));
}
static DEVICE_ATTR_RO(words);

static ssize_t seeds_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%llu\n", my_rng_counter_sum(facts(dev)->seeds));
}
static DEVICE_ATTR_RO(seeds);

static struct attribute *my_rng_attrs[] = {
	&dev_attr_generator.attr,
	&dev_attr_bulk.attr,
	&dev_attr_words.attr,
	&dev_attr_seeds.attr,
	NULL
};

static const struct attribute_group my_rng_group = {
	.attrs = my_rng_attrs,
};

const struct attribute_group *my_rng_groups[] = {
	&my_rng_group,
	NULL
};
