// SPDX-License-Identifier: GPL-2.0-or-later

/*
 * The two ioctls of guest-module/ in C, with the same checks. Only `make bench`
 * builds it. driver_override binds it to a second my_rng device, beside the one
 * of the driver in Rust, so that both drive the same hardware.
 */

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define REG_RNG		0x0
#define REG_SEED	0x4
#define REG_INFO	0x8

#define IOCTL_RAND	_IOR('q', 1, unsigned int)
#define IOCTL_SEED	_IOW('q', 1, unsigned int)

struct twin {
	struct kref refs;
	void __iomem *bar;
	/* Open files outlive the device. */
	bool gone;
	struct miscdevice misc;
	u32 info;
	atomic64_t words;
	atomic64_t seeds;
};

static void twin_release_last(struct kref *refs)
{
	kfree(container_of(refs, struct twin, refs));
}

static int twin_rand(struct twin *twin, u32 *number)
{
	int ret = 0;

	rcu_read_lock();
	if (READ_ONCE(twin->gone)) {
		ret = -ENODEV;
	} else {
		*number = ioread32(twin->bar + REG_RNG);
		/* An absent device reads as all zeros or all ones. */
		if ((*number == 0 || *number == U32_MAX) &&
		    ioread32(twin->bar + REG_INFO) != twin->info)
			ret = -ENODEV;
	}
	rcu_read_unlock();
	if (!ret)
		atomic64_inc(&twin->words);
	return ret;
}

static int twin_seed(struct twin *twin, u32 seed)
{
	int ret = 0;

	rcu_read_lock();
	if (READ_ONCE(twin->gone)) {
		ret = -ENODEV;
	} else {
		iowrite32(seed, twin->bar + REG_SEED);
		/* A write to an absent device is lost silently. */
		if (ioread32(twin->bar + REG_INFO) != twin->info)
			ret = -ENODEV;
	}
	rcu_read_unlock();
	if (!ret)
		atomic64_inc(&twin->seeds);
	return ret;
}

static long twin_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct twin *twin = file->private_data;
	void __user *user = (void __user *)arg;
	u32 number;
	int ret;

	switch (cmd) {
	case IOCTL_RAND:
		ret = twin_rand(twin, &number);
		if (ret)
			return ret;
		return copy_to_user(user, &number, sizeof(number)) ? -EFAULT : 0;
	case IOCTL_SEED:
		if (copy_from_user(&number, user, sizeof(number)))
			return -EFAULT;
		return twin_seed(twin, number);
	default:
		return -ENOTTY;
	}
}

static int twin_open(struct inode *inode, struct file *file)
{
	struct miscdevice *misc = file->private_data;
	struct twin *twin = container_of(misc, struct twin, misc);

	kref_get(&twin->refs);
	file->private_data = twin;
	return 0;
}

static int twin_release(struct inode *inode, struct file *file)
{
	struct twin *twin = file->private_data;

	kref_put(&twin->refs, twin_release_last);
	return 0;
}

static const struct file_operations twin_fops = {
	.owner = THIS_MODULE,
	.open = twin_open,
	.release = twin_release,
	.unlocked_ioctl = twin_ioctl,
};

static int twin_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct twin *twin;
	void __iomem *bar;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	bar = pcim_iomap_region(pdev, 0, "my_rng_twin");
	if (IS_ERR(bar))
		return PTR_ERR(bar);
	twin = kzalloc_obj(*twin);
	if (!twin)
		return -ENOMEM;
	kref_init(&twin->refs);
	twin->info = ioread32(bar + REG_INFO);
	twin->bar = bar;
	twin->misc.minor = MISC_DYNAMIC_MINOR;
	twin->misc.name = "my_rng_twin";
	twin->misc.fops = &twin_fops;
	twin->misc.parent = &pdev->dev;
	ret = misc_register(&twin->misc);
	if (ret) {
		kref_put(&twin->refs, twin_release_last);
		return ret;
	}
	pci_set_drvdata(pdev, twin);
	return 0;
}

static void twin_remove(struct pci_dev *pdev)
{
	struct twin *twin = pci_get_drvdata(pdev);

	misc_deregister(&twin->misc);
	WRITE_ONCE(twin->gone, true);
	/* The registers are unmapped next: wait for those that still use them. */
	synchronize_rcu();
	kref_put(&twin->refs, twin_release_last);
}

/* Only by driver_override. */
static const struct pci_device_id twin_ids[] = { { } };

static struct pci_driver twin_driver = {
	.name = "my_rng_twin",
	.id_table = twin_ids,
	.probe = twin_probe,
	.remove = twin_remove,
};
module_pci_driver(twin_driver);

MODULE_DESCRIPTION("The driver of my_rng in C, to compare the one in Rust with");
MODULE_LICENSE("GPL");
